/** Every step of a plan in terms of our ops: what it means, in the plainest words. */

import type { Columns, HeadAttributes, PlanStep } from '../../backends/plan.ts';
import type { RunOp } from '../../backends/types.ts';
import { mapElements, silu } from '../../reference/activations.ts';
import { decayRates } from '../../reference/mixer.ts';
import { ropeAngles } from '../../reference/rope.ts';
import { appendRows, cacheTensor, type LayerState } from '../../reference/state.ts';
import {
  joinColumns,
  type Precision,
  reshape,
  rounding,
  type Tensor,
  zeros,
} from '../../reference/tensor.ts';

/** Some neighbouring tokens that belong to one sequence. */
export interface Segment {
  readonly from: number;
  readonly count: number;
  /** Position of the first of them in its sequence. */
  readonly position: number;
  /** The sequence's state, updated in place, by layer. */
  readonly layers: readonly LayerState[];
}

/** Where a step finds what it reads. */
export interface PlainContext {
  /** Computes the ops. */
  readonly run: RunOp;
  readonly precision: Precision;
  readonly tokens: readonly number[];
  readonly segments: readonly Segment[];
  /** A copy of some columns. Shape (tokens, width). */
  columns(columns: Columns): Tensor;
  weight(name: string): Tensor;
}

/** Runs one step; returns what it writes, a row per token (or, after lastTokens, per sequence). */
export async function runPlainStep(step: PlanStep, context: PlainContext): Promise<Tensor> {
  const { columns, precision, run } = context;
  const weight = (name: string | undefined) =>
    name === undefined ? undefined : context.weight(name);
  switch (step.op) {
    case 'embedding': {
      const { tokens } = context;
      const weights = context.weight(step.weights.weight);
      return (await run('embedding', { tokens, weight: weights, precision })).y;
    }
    case 'rmsNorm':
    case 'layerNorm': {
      const input = {
        x: columns(step.inputs.x),
        weight: context.weight(step.weights.weight),
        bias: weight(step.weights.bias),
        eps: step.attributes.eps,
      };
      return (await run(step.op, input)).y;
    }
    case 'linear': {
      const { x, residual } = step.inputs;
      const { y } = await run('linear', {
        x: columns(x),
        weight: context.weight(step.weights.weight),
        bias: weight(step.weights.bias),
      });
      return residual ? add(columns(residual), y) : y;
    }
    case 'gatedRmsNorm': {
      const { x, z } = step.inputs;
      const input = {
        x: columns(x),
        z: columns(z),
        weight: context.weight(step.weights.weight),
        ...step.attributes,
      };
      return (await run('gatedRmsNorm', input)).y;
    }
    case 'gate':
      return gate(
        columns(step.inputs.value),
        columns(step.inputs.gate),
        weight(step.weights.gateBias),
      );
    case 'joinColumns': {
      const { a, b, c } = step.inputs;
      return joinColumns([a, b, ...(c ? [c] : [])].map(columns));
    }
    case 'repeatColumns':
      return repeatColumns(columns(step.inputs.x), step.attributes);
    case 'lastTokens':
      return lastTokens(columns(step.inputs.x), context.segments);
    default:
      return bySegment(step, context);
  }
}

/** The steps in which the tokens of a sequence meet each other or its state. */
type SequenceStep = Extract<PlanStep, { op: SequenceOp }>;
type SequenceOp =
  | `causalConv1d${'' | 'Step'}`
  | `selectiveScan${'' | 'Step'}`
  | `ssd${'' | 'Step'}`
  | `discreteSsd${'' | 'Step'}`
  | `attention${'' | 'Step'}`
  | 'rope';

/** Runs a step on each sequence's tokens alone. */
async function bySegment(step: SequenceStep, context: PlainContext): Promise<Tensor> {
  const whole = Object.entries(step.inputs as Record<string, Columns>).map(
    ([role, columns]) => [role, context.columns(columns)] as const,
  );
  const data = zeros(context.tokens.length * step.y.width, whole[0][1].data);
  for (const segment of context.segments) {
    const { from, count } = segment;
    const inputs = Object.fromEntries(
      whole.map(([role, t]) => {
        const width = t.shape[1];
        const rows = t.data.subarray(from * width, (from + count) * width);
        return [role, { data: rows, shape: [count, width] }];
      }),
    ) as Record<string, Tensor>;
    const y = await runSegment(step, inputs, segment, context);
    data.set(y.data, from * step.y.width);
  }
  return { data, shape: [context.tokens.length, step.y.width] };
}

async function runSegment(
  step: SequenceStep,
  inputs: Record<string, Tensor>,
  { count, position, layers }: Segment,
  { run, weight }: PlainContext,
): Promise<Tensor> {
  const state = layers[step.layer ?? 0];
  const isStep = step.op.endsWith('Step');
  /** Rows of tokens as the op wants them: (1, seqlen, …), or (1, …) for a single token. */
  const as = (role: string, ...axes: number[]): Tensor =>
    reshape(inputs[role], 1, ...(isStep ? [] : [count]), ...axes);
  const heads = ({ nHeads, headDim, nGroups, dState }: HeadAttributes, D: Tensor) => ({
    x: as('x', nHeads, headDim),
    B: as('B', nGroups, dState),
    C: as('C', nGroups, dState),
    D: reshape(D, nHeads, D.data.length / nHeads),
    h: state.h as Tensor,
  });
  switch (step.op) {
    case 'rope': {
      const { pairing, frequencies, nHeads, headDim } = step.attributes;
      const positions = Array.from({ length: count }, (_, t) => position + t);
      const precision = inputs.x.data instanceof Float32Array ? 'float32' : 'float64';
      const angles = ropeAngles(positions, Float64Array.from(frequencies), precision);
      return (await run('rope', { x: as('x', nHeads, headDim), angles, pairing })).y;
    }
    case 'causalConv1d':
    case 'causalConv1dStep': {
      const input = {
        x: as('x', step.y.width),
        weight: weight(step.weights.weight),
        bias: step.weights.bias === undefined ? undefined : weight(step.weights.bias),
        activation: step.attributes.activation,
        convState: state.convState as Tensor,
      };
      const { y, convState } = await run(step.op, input);
      state.convState = convState;
      return y;
    }
    case 'selectiveScan':
    case 'selectiveScanStep': {
      const { nGroups, dState } = step.attributes;
      const dInner = step.y.width;
      const input = {
        x: as('x', dInner),
        dtRaw: as('dtRaw', dInner),
        dtBias: weight(step.weights.dtBias),
        A: decayRates(weight(step.weights.ALog), inputs.x.data),
        B: as('B', nGroups, dState),
        C: as('C', nGroups, dState),
        D: weight(step.weights.D),
        z: as('z', dInner),
        h: state.h as Tensor,
      };
      const { y, h } = await run(step.op, input);
      state.h = h;
      return y;
    }
    case 'ssd':
    case 'ssdStep': {
      const { nHeads, headDim, dtLimit } = step.attributes;
      const input = {
        ...heads(step.attributes, weight(step.weights.D)),
        dtRaw: as('dtRaw', nHeads),
        dtBias: weight(step.weights.dtBias),
        dtLimit,
        A: decayRates(weight(step.weights.ALog), inputs.x.data),
        z: inputs.z && as('z', nHeads, headDim),
      };
      const { y, h } = await run(step.op, input);
      state.h = h;
      return y;
    }
    case 'discreteSsd':
    case 'discreteSsdStep': {
      const a = as('a', step.attributes.nHeads);
      const input = { ...heads(step.attributes, weight(step.weights.D)), a };
      const { y, h } = await run(step.op, input);
      state.h = h;
      return y;
    }
    case 'attention':
    case 'attentionStep': {
      const { nHeads, nKvHeads, headDim, scale } = step.attributes;
      const { keys, values } = state as Required<LayerState>;
      appendRows(keys, inputs.k.data);
      appendRows(values, inputs.v.data);
      const input = {
        q: as('q', nHeads, headDim),
        keys: cacheTensor(keys, nKvHeads),
        values: cacheTensor(values, nKvHeads),
        scale,
      };
      return (await run(step.op, input)).y;
    }
  }
}

function add(a: Tensor, b: Tensor): Tensor {
  const fl = rounding(a.data);
  return { data: a.data.map((x, i) => fl(x + b.data[i])), shape: a.shape };
}

function gate(value: Tensor, gateInput: Tensor, bias?: Tensor): Tensor {
  const fl = rounding(value.data);
  const width = value.shape[1];
  const biased = bias ? gateInput.data.map((x, i) => fl(x + bias.data[i % width])) : gateInput.data;
  const open = mapElements(biased, silu);
  return { data: value.data.map((x, i) => fl(x * open[i])), shape: value.shape };
}

function repeatColumns(x: Tensor, { width, times }: { width: number; times: number }): Tensor {
  const [rows, columns] = x.shape;
  const data = zeros(rows * columns * times, x.data);
  for (let i = 0; i < data.length; i++) {
    const group = Math.floor(i / (width * times));
    data[i] = x.data[group * width + (i % width)];
  }
  return { data, shape: [rows, columns * times] };
}

function lastTokens(x: Tensor, segments: readonly Segment[]): Tensor {
  const width = x.shape[1];
  const data = zeros(segments.length * width, x.data);
  segments.forEach(({ from, count }, i) => {
    const last = from + count - 1;
    data.set(x.data.subarray(last * width, (last + 1) * width), i * width);
  });
  return { data, shape: [segments.length, width] };
}
