/** The WASM kernels in the sizes at which they change their way: more query heads, channels and tokens than laws draw. */

import { afterAll, beforeAll, expect, it } from 'vitest';
import { Kernels } from '../backends/wasm/kernels.ts';
import { wasmOps } from '../backends/wasm/ops.ts';
import { lawsOf } from '../lib/verify/laws/index.ts';
import { backendSubject } from '../lib/verify/subject.ts';
import { Draws } from '../lib/verify/values.ts';
import type { OpName, Ops } from '../reference/ops.ts';
import { SEED } from './support.ts';

let kernels: Kernels;
beforeAll(async () => {
  kernels = await Kernels.start({ threads: 2 });
});
afterAll(() => kernels.close());

const draws = new Draws(SEED);
const usual = (...shape: number[]) => draws.tensor('usual', ...shape);

/** An op meets its equation, and gives every row of a batch the bits that it gets alone. */
async function expectLaws<Name extends OpName>(op: Name, input: Parameters<Ops[Name]>[0]) {
  const info = { backend: 'wasm', precision: 'float32', arithmetic: 'ieee' } as const;
  const subject = backendSubject(info, wasmOps(kernels));
  for (const { law, check } of lawsOf(op)) {
    if (law === 'is what its equation says') {
      expect(await check(subject, input)).toBeLessThanOrEqual(1);
    } else if (law === 'gives a row the same bits whatever its neighbours') {
      await check({ ...subject, isBitwise: true }, input);
    }
  }
}

it.each([1, 2, 3, 4, 5, 6, 7, 8])(
  'attention with %d query heads to a key head',
  async (perKvHead) => {
    for (const [headDim, length] of [
      [64, 100],
      [18, 33],
      [8, 16],
    ]) {
      const keys = usual(2, length, 2, headDim);
      const values = usual(2, length, 2, headDim);
      const q = usual(2, 3, 2 * perKvHead, headDim);
      await expectLaws('attention', { q, keys, values, withWeights: true });
    }
  },
);

it.each([1, 2, 3, 4, 5, 9])('convolutions with %d taps over blocks of channels', async (dConv) => {
  for (const channels of [64, 70, 130]) {
    const filters = { weight: usual(channels, dConv), bias: usual(channels) };
    const convState = usual(2, channels, dConv - 1);
    for (const seqlen of [1, 2, 12]) {
      const x = usual(2, seqlen, channels);
      await expectLaws('causalConv1d', { x, ...filters, convState, activation: 'silu' });
    }
  }
});

it.each([16, 20, 36, 64])('recurrences over heads of %d channels', async (headDim) => {
  const [nHeads, nGroups, dState] = [4, 2, 24];
  const shared = {
    x: usual(2, 5, nHeads, headDim),
    B: usual(2, 5, nGroups, dState),
    C: usual(2, 5, nGroups, dState),
    h: usual(2, nHeads, headDim, dState),
  };
  const dtRaw = usual(2, 5, nHeads);
  const z = usual(2, 5, nHeads, headDim);
  const A = draws.tensorBetween(-4, -0.1, nHeads);
  await expectLaws('ssd', { ...shared, dtRaw, A, z, D: usual(nHeads, 1) });
  await expectLaws('discreteSsd', { ...shared, a: dtRaw, D: usual(nHeads, headDim) });
});

it('a selective scan over more channels than a few vectors', async () => {
  for (const dInner of [33, 72]) {
    await expectLaws('selectiveScan', {
      x: usual(2, 6, dInner),
      dtRaw: usual(2, 6, dInner),
      A: draws.tensorBetween(-8, -0.5, dInner, 16),
      B: usual(2, 6, 3, 16),
      C: usual(2, 6, 3, 16),
      D: usual(dInner),
      z: usual(2, 6, dInner),
    });
  }
});

it('gates and norms wider than a block', async () => {
  for (const width of [260, 1027]) {
    const [x, weight, bias, eps] = [usual(5, width), usual(width), usual(width), 1e-5];
    await expectLaws('rmsNorm', { x, weight, eps });
    await expectLaws('layerNorm', { x, weight, bias, eps });
    await expectLaws('gatedRmsNorm', { x, z: usual(5, width), weight, eps });
    await expectLaws('softmax', { x });
  }
  const [gateWeight, upWeight, downWeight] = [usual(300, 8), usual(300, 8), usual(8, 300)];
  await expectLaws('swigluMlp', { x: usual(9, 8), gateWeight, upWeight, downWeight });
});

it('draws from thousands of tokens as the reference does, at every place of the distribution', async () => {
  const { ops } = await import('../reference/ops.ts');
  const { chooseToken, greedyToken } = wasmOps(kernels);
  for (const vocabSize of [255, 256, 257, 3001]) {
    const u = Array.from({ length: 40 }, (_, i) => (i + draws.uniform()) / 40);
    const all = draws.tensorBetween(-8, 8, u.length, vocabSize);
    const data = Float32Array.from(all.data, (x, i) => (i % 7 === 3 ? -Infinity : x));
    const logits = { data, shape: all.shape };
    const got = await chooseToken?.({ logits, u });
    const want = ops.chooseToken({ logits, u });
    expect(got?.tokens).toEqual(want.tokens);
    got?.logprobs.forEach((x, i) => {
      expect(x).toBeCloseTo(want.logprobs[i], 5);
    });
    expect((await greedyToken?.({ logits }))?.tokens).toEqual(ops.greedyToken({ logits }).tokens);
  }
});

it('draws at the ends of the distribution: never a removed token', async () => {
  const { chooseToken } = wasmOps(kernels);
  const data = new Float32Array(1000).fill(-Infinity);
  data[300] = 2;
  data[700] = 1;
  const logits = { data: Float32Array.from([...data, ...data]), shape: [2, 1000] };
  const { tokens } = (await chooseToken?.({ logits, u: [0, 1 - 2 ** -53] })) ?? {};
  expect(tokens).toEqual([300, 700]);
});

it('draws no removed token with the largest u, however sums were rounded', async () => {
  const { chooseToken } = wasmOps(kernels);
  const rows = 300;
  // weights so far apart that their sum has more bits than a float64
  const all = draws.tensorBetween(-12, 12, rows, 500);
  const data = Float32Array.from(all.data, (x, i) => (i % 500 > 450 ? -Infinity : x));
  const u = Array.from({ length: rows }, () => 1 - 2 ** -53);
  const { tokens } = (await chooseToken?.({ logits: { data, shape: all.shape }, u })) ?? {};
  expect(tokens?.filter((token) => token > 450)).toEqual([]);
});

it.each([Number.NaN, Infinity])(
  '%d among the logits is refused wherever it stands',
  async (bad) => {
    const { chooseToken, greedyToken } = wasmOps(kernels);
    for (const at of [0, 3, 255, 256, 300]) {
      const data = new Float32Array(301);
      data[at] = bad;
      const logits = { data, shape: [1, 301] };
      const refused = expect.objectContaining({ code: 'NonFiniteLogits' });
      await expect(greedyToken?.({ logits })).rejects.toEqual(refused);
      await expect(chooseToken?.({ logits, u: [0.5] })).rejects.toEqual(refused);
    }
  },
);
