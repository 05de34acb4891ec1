/** What must hold of the ops around the recurrences. */

import { type Tensor, tensor, zeros } from '../../../reference/tensor.ts';
import type { Approx } from '../approx.ts';
import { INPUTS } from '../arbitraries.ts';
import { DifferenceError, demand } from '../compare.ts';
import { DEFINITIONS } from '../definitions/index.ts';
import { repeatGroups } from '../golden/layout.ts';
import { InapplicableError } from '../guard.ts';
import { type InputOf, size, withDim } from '../inputs/drawn.ts';
import { changed, takeTokens } from '../tokens.ts';
import { type Law, law } from './law.ts';
import { sameness } from './sameness.ts';
import { sequenceLaws } from './sequences.ts';

const errors = (approx: readonly Approx[]) => approx.map(({ error }) => error);

export const convolutionLaws = sequenceLaws({
  sequence: 'causalConv1d',
  step: 'causalConv1dStep',
  state: 'convState',
});

/**
 * The largest deviation of a row's sum from 1, as a share of what the bounds of its elements add up to.
 * @throws DifferenceError where that is more than 1.
 */
function expectRowsSumToOne(
  name: string,
  { data, shape }: Tensor,
  bounds: readonly number[],
): number {
  const width = shape[shape.length - 1];
  let worst = 0;
  for (let row = 0; row < data.length; row += width) {
    const total = Array.from(data.subarray(row, row + width)).reduce((sum, p) => sum + p, 0);
    const allowed = bounds.slice(row, row + width).reduce((sum, error) => sum + error, 0);
    worst = Math.max(worst, Math.abs(total - 1) / (allowed + width * 2 ** -52));
  }
  demand(worst <= 1, `${name}: a row's sum is not 1 (${worst} of allowed)`);
  return worst;
}

export const attentionLaws: Law[] = [
  law(
    'attention',
    'gives weights that sum to one',
    INPUTS.attention,
    async ({ run, calc }, input) => {
      const { weights } = await run('attention', { ...input, withWeights: true });
      if (!weights) throw new InapplicableError('attention: weights are not among the outputs');
      const bounds = errors(DEFINITIONS.attention?.(input, calc).weights ?? []);
      return expectRowsSumToOne('weights', weights, bounds);
    },
  ),
  law(
    'attention',
    'never looks ahead',
    withDim(INPUTS.attention, 'cut', size(9, 0)),
    async (subject, { cut, ...input }) => {
      const { run } = subject;
      const seqlen = input.q.shape[1];
      const earlier = input.keys.shape[1] - seqlen;
      const at = Math.min(cut, seqlen);
      const causal = { ...input, isCausal: true, withWeights: false };
      const before = await run('attention', causal);
      const later = changed(causal, ['keys', 'values'], earlier + at);
      const after = await run('attention', later);
      const same = await sameness(subject, 'attention', causal, before);
      return same(takeTokens({ y: after.y }, 0, at), (all) => takeTokens(all, 0, at));
    },
  ),
  law(
    'attention',
    'gives grouped heads the bits of repeated keys and values',
    INPUTS.attention,
    async (subject, input) => {
      const { run } = subject;
      const nHeads = input.q.shape[2];
      const repeated = {
        ...input,
        keys: repeatGroups(input.keys, nHeads),
        values: repeatGroups(input.values, nHeads),
      };
      const same = await sameness(subject, 'attention', input, await run('attention', input));
      return same(await run('attention', repeated));
    },
  ),
  law(
    'attentionStep',
    'is the last row of attention over the cache',
    INPUTS.attention,
    async (subject, input) => {
      const { run } = subject;
      const causal = { ...input, isCausal: true, withWeights: false };
      const whole = await run('attention', causal);
      const same = await sameness(subject, 'attention', causal, whole);
      const seqlen = input.q.shape[1];
      const last = (all: object) => takeTokens(all, seqlen - 1, seqlen, 'step');
      const { q } = takeTokens({ q: input.q }, seqlen - 1, seqlen, 'step');
      const { keys, values, scale } = input;
      const one = await run('attentionStep', { q, keys, values, ...(scale && { scale }) });
      return same({ y: one.y }, last);
    },
  ),
];

/** What a rotation keeps. */
export const ropeLaws: Law[] = [
  law('rope', 'leaves the bits where the angle is zero', INPUTS.rope, async (subject, input) => {
    const angles = { ...input.angles, data: input.angles.data.slice().fill(0) };
    const still = { ...input, angles };
    const same = await sameness(subject, 'rope', still, { y: input.x }, 'alike');
    return same(await subject.run('rope', still));
  }),
  law('rope', 'keeps the length of every vector', INPUTS.rope, async ({ run, calc }, input) => {
    const { y } = await run('rope', input);
    const bound = errors(DEFINITIONS.rope?.(input, calc).y ?? []);
    const headDim = input.x.shape[3];
    let worst = 0;
    for (let at = 0; at < y.data.length; at += headDim) {
      const [before, after] = [input.x, y].map(({ data }) =>
        Math.hypot(...data.subarray(at, at + headDim)),
      );
      const allowed = Math.hypot(...bound.slice(at, at + headDim)) + before * headDim * 2 ** -52;
      if (allowed === Infinity || before === after) continue;
      worst = Math.max(worst, Math.abs(after - before) / allowed);
      if (!(worst <= 1))
        throw new DifferenceError(`y: a vector of length ${before} became ${after}`);
    }
    return worst;
  }),
  law(
    'rope',
    'pairs interleaved channels as it pairs halves, in another order',
    INPUTS.rope,
    async (subject, input) => {
      const nPairs = input.angles.shape[1];
      const half = await subject.run('rope', { ...input, pairing: 'half' });
      const turned: InputOf<'rope'> = {
        ...input,
        x: reordered(input.x, nPairs),
        pairing: 'interleaved',
      };
      const same = await sameness(subject, 'rope', turned, { y: reordered(half.y, nPairs) });
      return same(await subject.run('rope', turned));
    },
  ),
];

/** Channels [u₀ u₁ … v₀ v₁ … rest] of every head as [u₀ v₀ u₁ v₁ … rest]. */
function reordered(t: Tensor, nPairs: number): Tensor {
  const headDim = t.shape[3];
  const data = t.data.slice();
  for (let at = 0; at < data.length; at += headDim) {
    for (let i = 0; i < nPairs; i++) {
      data[at + 2 * i] = t.data[at + i];
      data[at + 2 * i + 1] = t.data[at + nPairs + i];
    }
  }
  return { data, shape: t.shape };
}

export const layerLaws: Law[] = [
  law(
    'gatedRmsNorm',
    'without gate and groups is rmsNorm',
    INPUTS.rmsNorm,
    async (subject, input) => {
      const same = await sameness(subject, 'rmsNorm', input, await subject.run('rmsNorm', input));
      return same(await subject.run('gatedRmsNorm', input));
    },
  ),
  law(
    'gatedMlp',
    'is swigluMlp with value and gate in one matrix',
    INPUTS.swigluMlp,
    async (subject, input) => {
      const { x, gateWeight, upWeight, downWeight, gateBias, upBias, downBias } = input;
      const joined = (up: Tensor, gate: Tensor, shape: number[]) => {
        const data = zeros(2 * up.data.length, up.data);
        data.set(up.data);
        data.set(gate.data, up.data.length);
        return tensor(shape, data);
      };
      const [dHidden, dModel] = upWeight.shape;
      const gated = await subject.run('gatedMlp', {
        x,
        fc1Weight: joined(upWeight, gateWeight, [2 * dHidden, dModel]),
        ...(upBias && gateBias && { fc1Bias: joined(upBias, gateBias, [2 * dHidden]) }),
        fc2Weight: downWeight,
        ...(downBias && { fc2Bias: downBias }),
      });
      const plain = await subject.run('swigluMlp', input);
      return (await sameness(subject, 'swigluMlp', input, plain))(gated);
    },
  ),
  law('linear', 'with the unit matrix leaves the bits', INPUTS.linear, async (subject, { x }) => {
    const width = x.shape[1];
    const unit = zeros(width ** 2, x.data);
    for (let i = 0; i < width; i++) unit[i * width + i] = 1;
    const input = { x, weight: { data: unit, shape: [width, width] } };
    const same = await sameness(subject, 'linear', input, { y: x }, 'alike');
    return same(await subject.run('linear', input));
  }),
  law(
    'softmax',
    'sums to one and keeps the order',
    INPUTS.softmax,
    async ({ run, calc, isBitwise }, { x }) => {
      const { y } = await run('softmax', { x });
      const width = x.shape[1];
      const bound = errors(DEFINITIONS.softmax?.({ x }, calc).y ?? []);
      for (let row = 0; row < y.data.length; row += width) {
        const [p, logits] = [y, x].map(({ data }) => data.subarray(row, row + width));
        for (let i = 0; i < width; i++) {
          for (let j = 0; j < width; j++) {
            const slack = isBitwise ? 0 : bound[row + i] + bound[row + j];
            const isOrdered = !(logits[i] >= logits[j]) || p[i] >= p[j] - slack;
            demand(isOrdered, `y: ${p[i]} at a logit no smaller than that of ${p[j]}`);
          }
        }
      }
      return expectRowsSumToOne('y', y, bound);
    },
  ),
];
