/** Mistakes in attention and in rotary positions. */

import type { OpName } from '../../../reference/ops.ts';
import type { Tensor } from '../../../reference/tensor.ts';
import { onInput, right, type Values } from './reference.ts';
import type { Mistake } from './types.ts';

const ATTENTION: readonly OpName[] = ['attention', 'attentionStep'];
const SEQUENCE: readonly OpName[] = ['attention'];

/** The small decisions of attention. */
interface AttentionParts {
  scale(given: number | undefined, headDim: number): number;
  /** Whether query t sees key j. */
  sees(j: number, t: number, earlier: number): boolean;
  kvHead(head: number, nHeads: number, nKvHeads: number): number;
  /** From the scores of a query to its weights. */
  softmax(scores: readonly number[]): number[];
}

function exponentials(scores: readonly number[], max: number): number[] {
  return scores.map((s) => Math.fround(Math.exp(s - max)));
}

function normalised(e: readonly number[]): number[] {
  const total = e.reduce((sum, x) => sum + x, 0);
  return e.map((x) => x / total);
}

const RIGHT: AttentionParts = {
  scale: (given, headDim) => given ?? 1 / Math.sqrt(headDim),
  sees: (j, t, earlier) => j <= t + earlier,
  kvHead: (head, nHeads, nKvHeads) => Math.floor((head * nKvHeads) / nHeads),
  softmax: (scores) => normalised(exponentials(scores, Math.max(...scores))),
};

function attentionWith(op: OpName, given: object, own: Partial<AttentionParts>): { y: Tensor } {
  const parts = { ...RIGHT, ...own };
  const { q, keys, values } = given as Values;
  const { isCausal = true, scale: asked } = given as { isCausal?: boolean; scale?: number };
  const isStep = op === 'attentionStep';
  const [batch, seqlen] = isStep ? [q.shape[0], 1] : q.shape;
  const [nHeads, headDim] = q.shape.slice(-2);
  const [, length, nKvHeads] = keys.shape;
  const scale = parts.scale(asked, headDim);
  const data = new Float64Array(q.data.length);
  for (let row = 0; row < batch * seqlen * nHeads; row++) {
    const head = row % nHeads;
    const t = Math.floor(row / nHeads) % seqlen;
    const b = Math.floor(row / nHeads / seqlen);
    const kvHead = parts.kvHead(head, nHeads, nKvHeads);
    const at = (j: number) => ((b * length + j) * nKvHeads + kvHead) * headDim;
    const seen = Array.from({ length }, (_, j) => j).filter(
      (j) => (!isStep && !isCausal) || parts.sees(j, t, length - seqlen),
    );
    const scores = seen.map((j) => {
      let score = 0;
      for (let p = 0; p < headDim; p++) score += q.data[row * headDim + p] * keys.data[at(j) + p];
      return score * scale;
    });
    const weights = parts.softmax(scores);
    for (let p = 0; p < headDim; p++) {
      seen.forEach((j, k) => {
        data[row * headDim + p] += weights[k] * values.data[at(j) + p];
      });
    }
  }
  return { y: { data, shape: q.shape } };
}

function part(
  names: readonly OpName[],
  cause: string,
  look: string,
  parts: Partial<AttentionParts>,
): Mistake {
  return { ops: names, cause, look, wrong: (op, input) => attentionWith(op, input, parts) };
}

export const ATTENTION_MISTAKES: readonly Mistake[] = [
  part(ATTENTION, 'the scores are not scaled', '1/√headDim', { scale: (given) => given ?? 1 }),
  part(ATTENTION, 'the scale is 1/headDim instead of 1/√headDim', 'the root', {
    scale: (given, headDim) => given ?? 1 / headDim,
  }),
  part(ATTENTION, 'a scale that is given is ignored', '`scale`', {
    scale: (_given, headDim) => 1 / Math.sqrt(headDim),
  }),
  part(ATTENTION, 'the scale is √headDim instead of 1/√headDim', 'divide by the root', {
    scale: (given, headDim) => given ?? Math.sqrt(headDim),
  }),
  onInput(
    SEQUENCE,
    'the causal mask is missing',
    'query t sees keys up to its own position',
    (input) => ({
      ...input,
      isCausal: false,
    }),
  ),
  onInput(SEQUENCE, 'the mask is causal although isCausal is false', '`isCausal`', (input) => ({
    ...input,
    isCausal: true,
  })),
  part(SEQUENCE, 'the causal mask shows one key too many', 'j ≤ t + length − seqlen', {
    sees: (j, t, earlier) => j <= t + earlier + 1,
  }),
  part(SEQUENCE, 'the causal mask hides the token itself', 'j ≤ t + length − seqlen', {
    sees: (j, t, earlier) => j < t + earlier,
  }),
  part(
    SEQUENCE,
    'the causal mask forgets the keys that were cached before',
    'with more keys than queries, query t stands at t + length − seqlen',
    { sees: (j, t) => j <= t },
  ),
  part(ATTENTION, 'the newest key is left out', 'the cache contains the current token', {
    sees: (j, t, earlier) => j < t + earlier || t + earlier === 0,
  }),
  part(
    ATTENTION,
    'key/value heads are tiled (i % nKvHeads) instead of repeated',
    'query head i uses key/value head ⌊i·nKvHeads/nHeads⌋: neighbours share one',
    { kvHead: (head, _nHeads, nKvHeads) => head % nKvHeads },
  ),
  part(ATTENTION, 'every query head uses key/value head 0', '⌊i·nKvHeads/nHeads⌋', {
    kvHead: () => 0,
  }),
  part(ATTENTION, 'the softmax does not subtract the maximum and overflows', 'e^(s − max)', {
    softmax: (scores) => normalised(exponentials(scores, 0)),
  }),
  part(ATTENTION, 'the weights are not divided by their sum', 'softmax', {
    softmax: (scores) => exponentials(scores, Math.max(...scores)),
  }),
];

const ROPE: readonly OpName[] = ['rope'];

/** Angles of the tokens `by` later, which lie on a line. */
function shiftedAngles({ data, shape }: Tensor, by: number): Tensor | undefined {
  const [seqlen, nPairs] = shape;
  if (seqlen < 2) return undefined;
  const step = (i: number) => data[nPairs + i] - data[i];
  return { data: Float64Array.from(data, (angle, k) => angle + by * step(k % nPairs)), shape };
}

const shift = (by: number) => (input: Values) => {
  const angles = shiftedAngles(input.angles, by);
  return angles && { ...input, angles };
};

/** Rotates with a rule for the new (u, v). */
function rotated(
  { x, angles, pairing }: Values,
  rule: (u: number, v: number, cos: number, sin: number) => [number, number],
): { y: Tensor } {
  const [, seqlen, nHeads, headDim] = x.shape;
  const nPairs = angles.shape[1];
  const data = Float64Array.from(x.data);
  for (let head = 0; head < data.length / headDim; head++) {
    const t = Math.floor(head / nHeads) % seqlen;
    for (let i = 0; i < nPairs; i++) {
      const isHalf = (pairing as unknown) !== 'interleaved';
      const u = head * headDim + (isHalf ? i : 2 * i);
      const v = isHalf ? u + nPairs : u + 1;
      const angle = angles.data[t * nPairs + i];
      [data[u], data[v]] = rule(x.data[u], x.data[v], Math.cos(angle), Math.sin(angle));
    }
  }
  return { y: { data, shape: x.shape } };
}

export const ROPE_MISTAKES: readonly Mistake[] = [
  onInput(
    ROPE,
    'the pairs are those of the other layout',
    '`pairing`: half or interleaved',
    (input) => ({
      ...input,
      pairing: (input.pairing as unknown) === 'interleaved' ? 'half' : 'interleaved',
    }),
  ),
  ...(['half', 'interleaved'] as const).map((pairing) =>
    onInput(
      ROPE,
      `the pairs are those of the other layout where pairing is ${pairing === 'half' ? 'interleaved' : 'half'}`,
      '`pairing`',
      (input) => ({
        ...input,
        pairing,
      }),
    ),
  ),
  onInput(ROPE, 'the rotation turns the other way', 'u·cos − v·sin, v·cos + u·sin', (input) => {
    const { data, shape } = input.angles;
    return { ...input, angles: { data: data.map((angle) => -angle), shape } };
  }),
  onInput(
    ROPE,
    'positions are one too large',
    'the first token is at the first row of angles',
    shift(1),
  ),
  onInput(
    ROPE,
    'positions are one too small',
    'the first token is at the first row of angles',
    shift(-1),
  ),
  {
    ops: ROPE,
    cause: 'one sign of the rotation is flipped',
    look: 'u·cos − v·sin, v·cos + u·sin',
    wrong: (_op, input) =>
      rotated(input as Values, (u, v, cos, sin) => [u * cos + v * sin, v * cos + u * sin]),
  },
  {
    ops: ROPE,
    cause: 'sine and cosine have changed places',
    look: 'u·cos − v·sin, v·cos + u·sin',
    wrong: (_op, input) =>
      rotated(input as Values, (u, v, cos, sin) => [u * sin - v * cos, v * sin + u * cos]),
  },
  {
    ops: ROPE,
    cause: 'the second channel is rotated with the first one’s new value',
    look: 'read both channels of a pair before writing either',
    wrong: (_op, input) =>
      rotated(input as Values, (u, v, cos, sin) => {
        const turned = u * cos - v * sin;
        return [turned, v * cos + turned * sin];
      }),
  },
  {
    ops: ROPE,
    cause: 'channels beyond the rotated ones are zero',
    look: 'channels from rotaryDim on pass through',
    wrong: (op, input) => {
      const { x, angles } = input as Values;
      const headDim = x.shape[3];
      const { y } = right(op, input);
      const isRotated = (i: number) => i % headDim < 2 * angles.shape[1];
      return { y: { ...y, data: y.data.map((value, i) => (isRotated(i) ? value : 0)) } };
    },
  },
];
