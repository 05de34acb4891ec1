/** Our ops on gpu.js kernels, from host arrays to host arrays: for verification, teaching and benchmarks. */

import type { OpName, Ops } from '../../reference/ops.ts';
import { takingTurns } from '../turns.ts';
import type { BackendOps } from '../types.ts';
import * as attention from './attentionOps.ts';
import type { Device } from './device.ts';
import * as rows from './rowOps.ts';
import { Scope } from './scope.ts';
import * as sequences from './sequenceOps.ts';
import * as steps from './stepOps.ts';

const chunked: sequences.LengthOf = (input) => (input as { chunkLen: number }).chunkLen;

const TABLE: {
  [Name in OpName]?: (
    scope: Scope,
    input: Parameters<Ops[Name]>[0],
  ) => Promise<ReturnType<Ops[Name]>>;
} = {
  silu: rows.pointwiseOp('silu'),
  sigmoid: rows.pointwiseOp('sigmoid'),
  softplus: rows.pointwiseOp('softplus'),
  softmax: rows.softmaxOp(false),
  logSoftmax: rows.softmaxOp(true),
  linear: rows.linearOp,
  embedding: rows.embeddingOp,
  rmsNorm: rows.rmsNormOp,
  layerNorm: rows.layerNormOp,
  gatedRmsNorm: rows.gatedRmsNormOp,
  swigluMlp: rows.swigluMlpOp,
  gatedMlp: rows.gatedMlpOp,
  causalConv1d: sequences.causalConv1dOp,
  causalConv1dStep: steps.causalConv1dStepOp,
  selectiveScan: sequences.selectiveScanOp(),
  selectiveScanStep: steps.selectiveScanStepOp,
  selectiveScanChunked: sequences.selectiveScanOp(chunked),
  ssd: sequences.ssdOp(),
  ssdStep: steps.ssdStepOp,
  ssdChunked: sequences.ssdOp(chunked),
  discreteSsd: sequences.discreteSsdOp(),
  discreteSsdStep: steps.discreteSsdStepOp,
  discreteSsdChunked: sequences.discreteSsdOp(chunked),
  rope: rows.ropeOp,
  attention: attention.attentionOp,
  attentionStep: attention.attentionStepOp,
  greedyToken: rows.greedyTokenOp,
  chooseToken: rows.chooseTokenOp,
};

/** The ops on a device, one call at a time: calls share kernels, and a kernel its output. */
export function gpujsOps(device: Device): BackendOps {
  const inTurn = takingTurns();
  const entries = Object.entries(TABLE).map(([name, op]) => {
    const run = op as (scope: Scope, input: unknown) => Promise<ReturnType<Ops[OpName]>>;
    const call = (input: unknown) =>
      inTurn(async () => {
        const scope = new Scope(device);
        try {
          return await run(scope, input);
        } finally {
          scope.end();
        }
      });
    return [name, call];
  });
  return Object.fromEntries(entries) as BackendOps;
}
