/** Mistakes in the recurrences: skip and gate, step size, decay, groups, state. */

import type { OpName } from '../../../reference/ops.ts';
import { clamp, type ScanParts, scanWith, sigmoid, silu, softplus } from './scan.ts';
import type { Mistake } from './types.ts';

const FORMS = ['', 'Step', 'Chunked', 'Associative'];
const formsOf = (...names: string[]) =>
  names.flatMap((name) => FORMS.map((form) => `${name}${form}` as OpName));

/** The ops with Δ, and those with a gate: Mamba-1 and Mamba-2. */
export const WITH_DT = formsOf('selectiveScan', 'ssd');
const WITH_LIMIT = formsOf('ssd');
const DISCRETE = formsOf('discreteSsd').filter((op) => op !== ('discreteSsdAssociative' as OpName));
export const ALL = [...WITH_DT, ...DISCRETE];

/** A mistake that is one part of the recurrence. */
export function part(
  ops: readonly OpName[],
  cause: string,
  look: string,
  parts: Partial<ScanParts>,
): Mistake {
  return { ops, cause, look, wrong: (op, input) => scanWith(op, input, parts) };
}

const SKIP: Mistake[] = [
  part(ALL, 'the skip connection D·x is dropped', 'what is added to C·h before the gate', {
    finish: (read, _skip, z) => (z === undefined ? read : read * silu(z)),
  }),
  part(WITH_DT, 'D·x is added after the gate', 'y = (C·h + D·x)·silu(z): the gate comes last', {
    finish: (read, skip, z) => (z === undefined ? read + skip : read * silu(z) + skip),
  }),
  part(WITH_DT, 'the gate is missing', 'y must be multiplied by silu(z) where z is given', {
    finish: (read, skip) => read + skip,
  }),
  part(WITH_DT, 'the gate is σ(z) instead of silu(z) = z·σ(z)', 'the activation of z', {
    finish: (read, skip, z) => (z === undefined ? read + skip : (read + skip) * sigmoid(z)),
  }),
  part(WITH_DT, 'y is multiplied by z itself', 'the activation of z: silu(z) = z·σ(z)', {
    finish: (read, skip, z) => (z === undefined ? read + skip : (read + skip) * z),
  }),
  part(ALL, 'D itself is added instead of D·x', 'the skip connection', {
    finish: (read, skip, z) => (read + (skip === 0 ? 0 : 1)) * (z === undefined ? 1 : silu(z)),
  }),
];

const GROUPS: Mistake[] = [
  part(
    ALL,
    'groups of B and C are tiled (d % nGroups) instead of repeated',
    'channel d takes group ⌊d·nGroups/channels⌋: neighbours share a group (repeat_interleave, not tile)',
    { group: (head, _nHeads, nGroups) => head % nGroups },
  ),
  part(ALL, 'every channel takes group 0 of B and C', 'the group index ⌊d·nGroups/channels⌋', {
    group: () => 0,
  }),
  part(ALL, 'the group of B and C is that of the next channel', 'the group index, off by one', {
    group: (head, nHeads, nGroups) => Math.floor(((head + 1) * nGroups) / nHeads) % nGroups,
  }),
  part(ALL, 'B and C have changed places', 'B is written with, C is read with', {
    swapsBAndC: true,
  }),
];

const STEP_SIZE: Mistake[] = [
  part(WITH_DT, 'softplus is missing', 'Δ = softplus(dtRaw + dtBias)', {
    dt: (raw, bias, { limit }) => clamp(raw + bias, limit),
  }),
  part(WITH_DT, 'softplus is applied twice', 'Δ = softplus(dtRaw + dtBias), once', {
    dt: (raw, bias, { limit }) => clamp(softplus(softplus(raw + bias)), limit),
  }),
  part(WITH_DT, 'Δ is exp(dtRaw + dtBias) instead of its softplus', 'ln(1 + e^x), not e^x', {
    dt: (raw, bias, { limit }) => clamp(Math.exp(raw + bias), limit),
  }),
  part(WITH_DT, 'dtBias is missing', 'Δ = softplus(dtRaw + dtBias)', {
    dt: (raw, _bias, { limit }) => clamp(softplus(raw), limit),
  }),
  part(
    WITH_DT,
    'dtBias is added twice',
    'a projection that already adds its bias, and the scan that adds it again',
    { dt: (raw, bias, { limit }) => clamp(softplus(raw + 2 * bias), limit) },
  ),
  part(WITH_DT, 'dtBias is added after softplus', 'Δ = softplus(dtRaw + dtBias)', {
    dt: (raw, bias, { limit }) => clamp(softplus(raw) + bias, limit),
  }),
  part(WITH_DT, 'dtBias is subtracted', 'the sign of the bias', {
    dt: (raw, bias, { limit }) => clamp(softplus(raw - bias), limit),
  }),
  part(
    WITH_DT,
    'softplus is computed as ln(1 + e^x) in float32, which loses small step sizes',
    'log1p(exp(x)): 1 + e^x rounds to 1 below x = −17',
    {
      dt: (raw, bias, { limit }) => {
        const sum = Math.fround(raw + bias);
        const e = Math.fround(1 + Math.fround(Math.exp(sum)));
        return clamp(sum > 20 ? sum : Math.fround(Math.log(e)), limit);
      },
    },
  ),
  part(WITH_DT, 'softplus overflows', 'above 20, softplus(x) is x: e^x is infinite from 89 on', {
    dt: (raw, bias, { limit }) =>
      clamp(Math.log1p(Math.fround(Math.exp(Math.fround(raw + bias)))), limit),
  }),
  part(WITH_LIMIT, 'dtLimit is ignored', 'Δ is clamped to dtLimit after softplus', {
    dt: (raw, bias) => softplus(raw + bias),
  }),
  part(WITH_LIMIT, 'dtLimit is applied before softplus', 'Δ is clamped after softplus', {
    dt: (raw, bias, { limit }) => softplus(clamp(raw + bias, limit)),
  }),
  part(WITH_LIMIT, 'only the upper dtLimit is applied', 'max(Δ, dtLimit[0])', {
    dt: (raw, bias, { limit }) => Math.min(softplus(raw + bias), limit?.[1] ?? Infinity),
  }),
  part(WITH_LIMIT, 'only the lower dtLimit is applied', 'min(Δ, dtLimit[1])', {
    dt: (raw, bias, { limit }) => Math.max(softplus(raw + bias), limit?.[0] ?? 0),
  }),
];

const DECAY: Mistake[] = [
  part(WITH_DT, 'the decay has the wrong sign: exp(−Δ·A)', 'A is negative already: exp(Δ·A)', {
    decay: (dt, A) => Math.exp(-dt * A),
  }),
  part(
    WITH_DT,
    'A is taken for A_log: the decay is exp(−Δ·exp(A))',
    'the op takes A = −exp(A_log), negative; do not convert it again',
    { decay: (dt, A) => Math.exp(-dt * Math.exp(A)) },
  ),
  part(WITH_DT, 'the decay is exp(A), without Δ', 'exp(Δ·A)', { decay: (_dt, A) => Math.exp(A) }),
  part(WITH_DT, 'the decay is 1 + Δ·A (Euler) instead of exp(Δ·A)', 'how A is discretised', {
    decay: (dt, A) => 1 + dt * A,
  }),
  part(WITH_DT, 'the decay is Δ·A, without exp', 'exp(Δ·A)', { decay: (dt, A) => dt * A }),
  part(WITH_DT, 'what is written is not multiplied by Δ', 'h ← exp(Δ·A)·h + Δ·B·x', {
    write: (_dt, B, x) => B * x,
  }),
  part(
    WITH_DT,
    'B is discretised as (exp(Δ·A) − 1)/A·B (zero-order hold)',
    'Mamba writes Δ·B·x: Euler for B, exact for A',
    { write: (dt, B, x, A) => (Math.expm1(dt * A) / A) * B * x },
  ),
  part(ALL, 'what is written decays at once', 'h ← decay·h + write: the write is not decayed', {
    write: (dt, B, x, A, { isDiscrete }) =>
      isDiscrete ? sigmoid(-dt) * B * x : Math.exp(dt * A) * dt * B * x,
  }),
  part(ALL, 'the decay is missing', 'h ← decay·h + write', { decay: () => 1 }),
  part(DISCRETE, 'the decay is σ(a) instead of σ(−a)', 'a plays A_log: a large a forgets', {
    decay: (a) => sigmoid(a),
  }),
  part(DISCRETE, 'the decay is exp(−a) instead of σ(−a)', '1/(1 + e^a)', {
    decay: (a) => Math.exp(-a),
  }),
  part(DISCRETE, 'x is multiplied by Δ = softplus(a)', 'Discrete Mamba-2 writes B·x alone', {
    write: (a, B, x) => softplus(a) * B * x,
  }),
  part(
    DISCRETE,
    'x is divided by softplus(a), which is 0 in float32 below −104',
    'go from a to the decay directly, not through an SSD kernel',
    {
      write: (a, B, x) => {
        const dt = Math.fround(softplus(a));
        return Math.fround(Math.fround(x / dt) * dt) * B;
      },
    },
  ),
];

const STATE: Mistake[] = [
  part(ALL, 'the initial state is ignored', 'h starts from the state that is given', {
    start: () => 0,
  }),
  part(
    ALL.filter((op) => !op.endsWith('Step')),
    'the state is not carried from token to token',
    'h must live outside of the loop',
    { carry: (h, t) => (t === 0 ? h : 0) },
  ),
  part(ALL, 'y is read from the state before the token', 'update h first, then y = C·h', {
    read: (_after, before) => before,
  }),
  part(ALL, 'the state that is returned lacks the last token', 'when h is copied out', {
    last: (_after, before) => before,
  }),
  ...(
    [
      ['half precision (float16)', roundedTo(11, 2 ** -24, 65504)],
      ['bfloat16', roundedTo(8, 2 ** -133, 3.39e38)],
    ] as const
  ).flatMap(([type, store]) => [
    part(ALL, `the state is kept in ${type}`, 'keep h in float32', { store }),
    part(ALL, `the state is returned in ${type}`, 'keep h in float32', { last: store }),
    part(ALL, `the state is taken in ${type}`, 'keep h in float32', { start: store }),
    part(ALL, `the state is taken and returned in ${type}`, 'keep h in float32', {
      start: store,
      last: store,
    }),
  ]),
];

/** Rounding to a number of significant bits, a spacing of subnormals and a largest number. */
function roundedTo(bits: number, least: number, largest: number) {
  return (x: number) => {
    if (x === 0 || !Number.isFinite(x)) return x;
    const spacing = Math.max(2 ** (Math.floor(Math.log2(Math.abs(x))) - bits + 1), least);
    const scaled = x / spacing;
    const floor = Math.floor(scaled);
    const isTie = scaled - floor === 0.5;
    const rounded = isTie ? floor + (floor % 2 === 0 ? 0 : 1) : Math.round(scaled);
    const value = rounded * spacing;
    return Math.abs(value) > largest ? Math.sign(x) * Infinity : value;
  };
}

export const RECURRENCE_MISTAKES: readonly Mistake[] = [
  ...SKIP,
  ...GROUPS,
  ...STEP_SIZE,
  ...DECAY,
  ...STATE,
];
