/** Laws of gradients: two against differences, the others to the bit. */

import type fc from 'fast-check';
import { demand, expectSameBits } from '../lib/verify/compare.ts';
import { Draws } from '../lib/verify/index.ts';
import { type Drawn, mapDrawn } from '../lib/verify/inputs/drawn.ts';
import type { LawOf } from '../lib/verify/laws/law.ts';
import { pickRows } from '../lib/verify/laws/rows.ts';
import { joinTokens, takeTokens, tokenTensors } from '../lib/verify/tokens.ts';
import { stepSize } from '../reference/selectiveScanStep.ts';
import type { SsdInput } from '../reference/ssd.ts';
import { exact, type Tensor } from '../reference/tensor.ts';
import {
  inner,
  lossErrorNear,
  moved,
  STEP,
  slopeAlong,
  type Tensors,
  tensorsIn,
} from './differences.ts';
import type { Differentiable, Gradient } from './differentiableOps.ts';

/** A draw that a gradient is tried on. */
interface Task {
  input: object & { h?: Tensor };
  /** Gradients of the outputs. */
  upstream: Tensors;
  /** Of whatever else a law draws. */
  seed: number;
}

interface Dims {
  seed: number;
  family?: string;
  extent?: string;
}

type Tasks = fc.Arbitrary<Drawn<Task>>;

/** Tasks of an op; a recurrence's input always has a state, so that there is something to move. */
function tasksOf(
  op: Differentiable,
  accepts: (input: object, dims: Dims) => boolean = () => true,
): Tasks {
  const inputs = op.inputs.filter(({ input, dims }) => accepts(input, dims as unknown as Dims));
  return mapDrawn(inputs, (drawnInput, dims): Task => {
    const { seed } = dims as unknown as Dims;
    const draws = new Draws(seed);
    const outputs = op.run(drawnInput);
    const upstream = Object.fromEntries(
      Object.entries(outputs).map(([name, { shape }]) => [name, draws.tensor('usual', ...shape)]),
    );
    const { h } = outputs;
    const zero = h && { data: new Float64Array(h.data.length), shape: h.shape };
    const input = op.isRecurrence ? { h: zero, ...drawnInput } : drawnInput;
    return { input, upstream, seed: seed + 1 };
  });
}

/** Whether a difference says something: values, rates and steps are within what models have, and smooth. */
const isDifferenced = (input: object, { family, extent }: Dims) =>
  family !== 'wide' && extent !== 'extreme' && isSmooth(input);

/** Whether Δ stays off the corners where it has no slope: softplus's switch at 20, the ends of dtLimit. */
function isSmooth(input: object): boolean {
  const { dtRaw, dtBias, dtSoftplus = true, dtLimit } = input as SsdInput;
  if (!dtRaw) return true;
  const margin = 8 * STEP; // dtRaw and dtBias may both move by two steps
  return dtRaw.data.every((raw, i) => {
    const bias = dtBias?.data[i % dtBias.data.length];
    const dt = stepSize(raw, bias, dtSoftplus, exact);
    const isAtSwitch = dtSoftplus && Math.abs(raw + (bias ?? 0) - 20) < margin;
    // softplus never reaches an end at 0
    const ends = (dtLimit ?? []).filter((end) => end > 0 || !dtSoftplus);
    return !isAtSwitch && ends.every((end) => Math.abs(dt - end) > margin);
  });
}

const elements = (input: object) =>
  Object.values(tensorsIn(input)).reduce((sum, { data }) => sum + data.length, 0);

const gradientOf = (gradient: Gradient, { input, upstream }: Task, chunkLen?: number): Tensors =>
  tensorsIn(gradient(input, upstream, chunkLen));

export function elementLaw(op: Differentiable): LawOf<Gradient> {
  return {
    law: 'is the central difference of every element',
    inputs: tasksOf(op, (input, dims) => elements(input) <= 150 && isDifferenced(input, dims)),
    check: async (gradient, task) => {
      const { input, upstream } = task as Task;
      const lossOffBy = lossErrorNear(op, input, upstream);
      let worst = 0;
      for (const [name, g] of Object.entries(gradientOf(gradient, task as Task))) {
        const { data, shape } = tensorsIn(input)[name];
        for (let i = 0; i < data.length; i++) {
          const changed = Float64Array.from(data);
          const lossAt = (by: number) => {
            changed[i] = data[i] + by;
            return inner(op.run({ ...input, [name]: { data: changed, shape } }), upstream).value;
          };
          const slope = slopeAlong(lossAt, lossOffBy);
          const off = Math.abs(g.data[i] - slope.value);
          demand(
            off <= slope.error && slope.error < Infinity,
            `${name}, element ${i}: expected ${slope.value} within ${slope.error}, got ${g.data[i]}`,
          );
          if (off > 0) worst = Math.max(worst, off / slope.error);
        }
      }
      return worst;
    },
  };
}

export function adjointLaw(op: Differentiable): LawOf<Gradient> {
  return {
    law: 'is the adjoint of the derivative: ⟨J·v, w⟩ = ⟨v, Jᵀ·w⟩',
    inputs: tasksOf(op, isDifferenced),
    check: async (gradient, task) => {
      const { input, upstream, seed } = task as Task;
      const g = gradientOf(gradient, task as Task);
      const draws = new Draws(seed);
      const direction = Object.fromEntries(
        Object.entries(g).map(([name, { shape }]) => [name, draws.tensor('dyadic', ...shape)]),
      );
      const lossAt = (by: number) => inner(op.run(moved(input, direction, by)), upstream).value;
      const slope = slopeAlong(lossAt, lossErrorNear(op, input, upstream));
      const { value, size, terms } = inner(g, direction);
      const error = slope.error + terms * 2 ** -52 * size;
      const off = Math.abs(value - slope.value);
      demand(
        off <= error && error < Infinity,
        `expected ${slope.value} within ${error}, got ${value}`,
      );
      return off > 0 ? off / error : 0;
    },
  };
}

function expectSame(got: Tensors, want: Tensors, names = Object.keys(want)): void {
  for (const name of names) expectSameBits(name, got[name], want[name]);
}

const ROWS = new Set(['x', 'dtRaw', 'a', 'B', 'C', 'z', 'h', 'convState']);

export function exactLaws(op: Differentiable): LawOf<Gradient>[] {
  const tasks = tasksOf(op);
  const law = (sentence: string, check: (gradient: Gradient, task: Task) => void) => ({
    law: sentence,
    inputs: tasks,
    check: async (gradient: Gradient, task: unknown) => {
      check(gradient, task as Task);
      return 0;
    },
  });
  const vanishes = law(
    'vanishes with the gradient of the outputs',
    (gradient, { input, upstream }) => {
      const zero = moved(upstream, upstream, -1);
      for (const [name, { data }] of Object.entries(tensorsIn(gradient(input, zero)))) {
        demand(
          data.every((v) => v === 0),
          `${name}: expected zeros, got ${data.find((v) => v !== 0)}`,
        );
      }
    },
  );
  const rows = law('takes rows one by one, and adds up what they share', (gradient, task) => {
    const { input, upstream } = task;
    const whole = gradientOf(gradient, task);
    const names = Object.keys(whole);
    const perRow = names.filter((name) => ROWS.has(name));
    const batch = Object.values(upstream)[0].shape[0];
    for (let b = 0; b < batch; b++) {
      const one = pickRows({ ...upstream }, Object.keys(upstream), [b]);
      const alone = tensorsIn(gradient(pickRows(input, [...ROWS], [b]), one));
      expectSame(pickRows(whole, perRow, [b]), alone, perRow);
      // rows whose outputs have no gradient add nothing
      const only = Object.entries(upstream).map(([name, { data, shape }]) => {
        const width = data.length / batch;
        return [name, { data: data.map((v, i) => (Math.trunc(i / width) === b ? v : 0)), shape }];
      });
      const masked = tensorsIn(gradient(input, Object.fromEntries(only)));
      const shared = names.filter((name) => !ROWS.has(name));
      expectSame(masked, alone, shared);
    }
  });
  const chunks = law('does not depend on chunkLen', (gradient, task) => {
    const want = gradientOf(gradient, task);
    const seqlen = task.upstream.y.shape[1];
    for (const chunkLen of [1, 1 + new Draws(task.seed).below(seqlen + 2), seqlen]) {
      expectSame(gradientOf(gradient, task, chunkLen), want);
    }
  });
  const chains = law(
    'chains: what a part says of its first state is the upstream of the part before',
    (gradient, task) => {
      const { input, upstream, seed } = task;
      const seqlen = upstream.y.shape[1];
      if (seqlen === 1) return;
      const cut = 1 + new Draws(seed).below(seqlen - 1);
      const [before, after] = [takeTokens(input, 0, cut), takeTokens(input, cut, seqlen)];
      const { h } = op.run(before);
      const second = tensorsIn(
        gradient({ ...after, h }, { y: takeTokens(upstream, cut, seqlen).y, h: upstream.h }),
      );
      const first = tensorsIn(gradient(before, { y: takeTokens(upstream, 0, cut).y, h: second.h }));
      const perToken = tokenTensors(first);
      const joined = perToken.map((name) => [name, joinTokens([first[name], second[name]])]);
      const whole = gradientOf(gradient, task);
      expectSame({ ...Object.fromEntries(joined), h: first.h }, whole, [...perToken, 'h']);
    },
  );
  return [
    vanishes,
    ...(op.isMeanOverRows ? [] : [rows]),
    ...(op.isRecurrence ? [chunks, chains] : []),
  ];
}
