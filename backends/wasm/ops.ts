/** Our ops on the WASM kernels, from host arrays to host arrays: for verification, teaching and benchmarks. */

import type { OpName, Ops } from '../../reference/ops.ts';
import type { BackendOps } from '../types.ts';
import * as attention from './attentionOps.ts';
import type { Kernels } from './kernels.ts';
import * as rows from './rowOps.ts';
import { Scope } from './scope.ts';
import * as sequences from './sequenceOps.ts';

const TABLE: {
  [Name in OpName]?: (scope: Scope, input: Parameters<Ops[Name]>[0]) => ReturnType<Ops[Name]>;
} = {
  silu: rows.siluOp,
  sigmoid: rows.sigmoidOp,
  softplus: rows.softplusOp,
  softmax: rows.softmaxOp,
  logSoftmax: rows.logSoftmaxOp,
  linear: rows.linearOp,
  embedding: rows.embeddingOp,
  rmsNorm: rows.rmsNormOp,
  layerNorm: rows.layerNormOp,
  gatedRmsNorm: rows.gatedRmsNormOp,
  swigluMlp: rows.swigluMlpOp,
  gatedMlp: rows.gatedMlpOp,
  causalConv1d: sequences.causalConv1dOp,
  causalConv1dStep: sequences.causalConv1dStepOp,
  selectiveScan: sequences.selectiveScanOp,
  selectiveScanStep: sequences.selectiveScanStepOp,
  selectiveScanChunked: sequences.selectiveScanChunkedOp,
  ssd: sequences.ssdOp,
  ssdStep: sequences.ssdStepOp,
  ssdChunked: sequences.ssdChunkedOp,
  discreteSsd: sequences.discreteSsdOp,
  discreteSsdStep: sequences.discreteSsdStepOp,
  discreteSsdChunked: sequences.discreteSsdChunkedOp,
  rope: attention.ropeOp,
  attention: attention.attentionOp,
  attentionStep: attention.attentionStepOp,
  greedyToken: rows.greedyTokenOp,
  chooseToken: rows.chooseTokenOp,
};

/** The ops on some kernels. Each rejects with BackendError, code OutOfBounds, if a kernel left its buffers. */
export function wasmOps(kernels: Kernels): BackendOps {
  const entries = Object.entries(TABLE).map(([name, op]) => {
    const run = op as (scope: Scope, input: unknown) => ReturnType<Ops[OpName]>;
    const call = async (input: unknown) => {
      const scope = new Scope(kernels);
      try {
        const output = run(scope, input);
        scope.check(name);
        return output;
      } finally {
        scope.free();
      }
    };
    return [name, call];
  });
  return Object.fromEntries(entries) as BackendOps;
}
