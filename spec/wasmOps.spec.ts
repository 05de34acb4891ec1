/** The WASM kernels one by one: every op in every build and number of threads that this engine has. */

import { setFlagsFromString } from 'node:v8';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasRelaxed, Kernels, type Simd } from '../backends/wasm/kernels.ts';
import { wasmOps } from '../backends/wasm/ops.ts';
import { Scope } from '../backends/wasm/scope.ts';
import { lawsOf } from '../lib/verify/laws/index.ts';
import { backendSubject } from '../lib/verify/subject.ts';
import type { OpName } from '../reference/ops.ts';
import { expectLaw, RUNS } from './support.ts';

// Node 20 has relaxed SIMD behind a flag
setFlagsFromString('--experimental-wasm-relaxed-simd');

/** Builds and threads, and how often each law is tried: they differ in little else than order and rounding. */
const BUILDS: [Simd, number, number][] = [
  ['plain', 1, RUNS],
  ['plain', 2, RUNS / 3],
  ...((await hasRelaxed()) ? ([['relaxed', 1, RUNS / 3]] as [Simd, number, number][]) : []),
];

const OPS: OpName[] = [
  ...(['silu', 'sigmoid', 'softplus', 'softmax', 'logSoftmax', 'linear', 'embedding'] as const),
  ...(['rmsNorm', 'layerNorm', 'gatedRmsNorm', 'swigluMlp', 'gatedMlp', 'rope'] as const),
  ...(['causalConv1d', 'causalConv1dStep', 'selectiveScan', 'selectiveScanStep'] as const),
  ...(['selectiveScanChunked', 'ssd', 'ssdStep', 'ssdChunked', 'discreteSsd'] as const),
  ...(['discreteSsdStep', 'discreteSsdChunked', 'attention', 'attentionStep'] as const),
  ...(['greedyToken', 'chooseToken'] as const),
];

const INFO = { backend: 'wasm', precision: 'float32', arithmetic: 'ieee' } as const;
const EQUATION = 'is what its equation says';

describe.each(BUILDS)('%s SIMD, threads: %d', (simd, threads, runs) => {
  let kernels: Kernels;
  beforeAll(async () => {
    kernels = await Kernels.start({ simd, threads });
  });
  afterAll(() => kernels.close());

  it('has the whole kernel set', () => {
    expect(Object.keys(wasmOps(kernels)).sort()).toEqual([...OPS].sort());
  });

  describe.each(OPS)('%s', (op) => {
    for (const law of lawsOf(op)) {
      it(law.law, () => {
        const subject = backendSubject(INFO, wasmOps(kernels));
        // the same result means the same bits here; only the equation is met within the bounds of any kernel
        const isBitwise = law.law !== EQUATION;
        return expectLaw(law, { ...subject, isBitwise }, Math.ceil(runs));
      });
    }
  });
});

describe('sentinels', () => {
  it('tell when a kernel leaves its buffers', async () => {
    const kernels = await Kernels.start({ simd: 'plain', threads: 1 });
    for (const [offset, place] of [
      [-4, '1 words before y'],
      [4 * 16, '1 words behind y'],
      [4 * (16 + 1023), '1024 words behind y'],
    ] as const) {
      const scope = new Scope(kernels);
      const y = scope.room('y', 10);
      scope.check('silu');
      kernels.memory.write(y + offset, [1]);
      expect(() => scope.check('silu')).toThrow(
        `silu: expected a kernel to write into its buffers alone, got a change ${place}`,
      );
      expect(() => scope.check('silu')).toThrow(expect.objectContaining({ code: 'OutOfBounds' }));
      scope.free();
    }
    await kernels.close();
  });
});
