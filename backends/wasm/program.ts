/** From a plan to the steps that the kernels walk: buffers become addresses, ops the numbers of kernels. */

import type { Columns, DiscreteSsdStep, Plan, PlanStep, SsdStep } from '../plan.ts';
import * as abi from './abi.ts';
import type { WeightStore } from './weights.ts';

/** A parameter of a kernel: a count or an address, or a number. */
export type Parameter = number | { readonly real: number };

/** A step before it is written into memory. */
export interface KernelStep {
  readonly kernel: number;
  readonly rows: number;
  readonly parameters: readonly Parameter[];
}

/** What a step needs to know of where things are. */
export interface Places {
  readonly weights: WeightStore;
  /** Address of the first row of a buffer. */
  buffer(name: string): number;
  /** Numbers from one row of a buffer to the next. */
  stride(name: string): number;
  /** Bytes from the beginning of a sequence's state, or of a page, to a part. */
  offset(slot: string): number;
  /** Address of the rotations of some frequencies. */
  rotations(frequencies: readonly number[]): number;
  /** Memory of each thread for what kernels keep aside. */
  scratch(): { address: number; perThread: number };
  /** Steps of a matrix product. */
  linear(step: Extract<PlanStep, { op: 'linear' }>, rows: number): KernelStep[];
  /** The step of an embedding. */
  embedding(step: Extract<PlanStep, { op: 'embedding' }>): KernelStep;
}

/** The steps of a plan. */
export function kernelSteps(plan: Plan, places: Places): KernelStep[] {
  let rows = abi.ROWS_TOKENS;
  return plan.steps.flatMap((step) => {
    if (step.op === 'lastTokens') rows = abi.ROWS_LAST;
    return stepsOf(step, rows, places);
  });
}

/** Where columns begin, and the numbers from one row to the next. */
export function columnsAt({ buffer, from }: Columns, places: Places): [number, number] {
  return [places.buffer(buffer) + 4 * from, places.stride(buffer)];
}

const NOWHERE: [number, number] = [0, 0];
const real = (value: number): Parameter => ({ real: value });

function stepsOf(step: PlanStep, rows: number, places: Places): KernelStep[] {
  const { weights } = places;
  const at = (columns: Columns | undefined) => (columns ? columnsAt(columns, places) : NOWHERE);
  const y = at(step.y);
  const { width } = step.y;
  const one = (kernel: number, ...parameters: Parameter[]) => [{ kernel, rows, parameters }];
  switch (step.op) {
    case 'embedding':
      return [places.embedding(step)];
    case 'linear':
      return places.linear(step, rows);
    case 'rmsNorm': {
      const weight = weights.vector(step.weights.weight);
      return one(
        abi.RMS_NORM,
        ...at(step.inputs.x),
        weight,
        width,
        real(step.attributes.eps),
        ...y,
      );
    }
    case 'layerNorm': {
      const [weight, bias] = [step.weights.weight, step.weights.bias].map((w) => weights.vector(w));
      const eps = real(step.attributes.eps);
      return one(abi.LAYER_NORM, ...at(step.inputs.x), weight, bias, width, eps, ...y);
    }
    case 'gatedRmsNorm': {
      const { eps, groupSize, normBeforeGate } = step.attributes;
      const weight = weights.vector(step.weights.weight);
      const inputs = [...at(step.inputs.x), ...at(step.inputs.z)];
      const sizes = [width, groupSize, real(eps), Number(normBeforeGate)];
      return one(abi.GATED_RMS_NORM, ...inputs, weight, ...sizes, ...y, 0);
    }
    case 'gate': {
      const inputs = [...at(step.inputs.value), ...at(step.inputs.gate)];
      return one(abi.GATE, ...inputs, weights.vector(step.weights.gateBias), width, ...y);
    }
    case 'repeatColumns': {
      const { width: group, times } = step.attributes;
      const groups = step.inputs.x.width / group;
      return one(abi.REPEAT_COLUMNS, ...at(step.inputs.x), groups, group, times, ...y);
    }
    case 'joinColumns': {
      const { a, b, c } = step.inputs;
      const inputs = [a, b, c].flatMap((part) => [...at(part), part?.width ?? 0]);
      return one(abi.JOIN_COLUMNS, ...inputs, ...y);
    }
    case 'lastTokens':
      return one(abi.LAST_TOKENS, ...at(step.inputs.x), width, ...y);
    case 'rope': {
      const { nHeads, headDim, pairing, frequencies } = step.attributes;
      const sizes = [nHeads, headDim, frequencies.length, Number(pairing === 'interleaved')];
      return one(abi.ROPE, ...at(step.inputs.x), places.rotations(frequencies), ...sizes, ...y);
    }
    case 'causalConv1d':
    case 'causalConv1dStep': {
      const { dConv, activation, convState } = step.attributes;
      const filters = [weights.taps(step.weights.weight), weights.vector(step.weights.bias)];
      const sizes = [width, dConv, Number(activation === 'silu'), places.offset(convState)];
      return one(abi.CAUSAL_CONV, ...at(step.inputs.x), ...filters, ...sizes, ...y);
    }
    case 'selectiveScan':
    case 'selectiveScanStep': {
      const { nGroups, dState, h } = step.attributes;
      const { x, dtRaw, B, C, z } = step.inputs;
      const { dtBias, ALog, D } = step.weights;
      return one(
        ...([abi.SELECTIVE_SCAN, ...at(x), ...at(dtRaw), weights.vector(dtBias)] as const),
        ...[weights.scanRates(ALog, nGroups), ...at(B), ...at(C), weights.skip(D, width), ...at(z)],
        ...[nGroups, width / nGroups, dState, places.offset(h), 1, ...y],
      );
    }
    case 'ssd':
    case 'ssdStep': {
      const { dtBias, ALog } = step.weights;
      const [least, most] = step.attributes.dtLimit ?? [-Infinity, Infinity];
      const rates = [weights.vector(dtBias), weights.headRates(ALog)];
      const { dtRaw, z } = step.inputs;
      return one(abi.HEADS, ...heads(step, dtRaw, rates, z, abi.HEADS_SOFTPLUS, [least, most]));
    }
    case 'discreteSsd':
    case 'discreteSsdStep':
      return one(
        abi.HEADS,
        ...heads(step, step.inputs.a, [0, 0], undefined, abi.HEADS_DISCRETE, [0, 0]),
      );
    case 'attention':
    case 'attentionStep': {
      const { nHeads, nKvHeads, headDim, scale, keys, values } = step.attributes;
      const { q, k, v } = step.inputs;
      const offsets = [places.offset(keys), places.offset(values)];
      const { address, perThread } = places.scratch();
      const sizes = [nHeads, nKvHeads, headDim, real(scale)];
      return [
        ...one(abi.APPEND_TO_CACHE, ...at(k), ...at(v), nKvHeads, headDim, ...offsets),
        ...one(abi.ATTENTION, ...at(q), ...sizes, ...offsets, address, perThread, ...y),
      ];
    }
  }

  function heads(
    { inputs, attributes, weights: names }: SsdStep | DiscreteSsdStep,
    dt: Columns,
    rates: readonly number[],
    z: Columns | undefined,
    flags: number,
    [least, most]: readonly number[],
  ): Parameter[] {
    const { nHeads, headDim, nGroups, dState, h } = attributes;
    return [
      ...[...at(inputs.x), ...at(dt), ...rates, ...at(inputs.B), ...at(inputs.C)],
      ...[weights.skip(names.D, nHeads * headDim), ...at(z), nHeads, headDim, nGroups, dState],
      ...[places.offset(h), flags, real(least), real(most), ...y],
    ];
  }
}

/** A product with float32 weights. */
export function linearStep(
  { inputs, weights: names, y }: Extract<PlanStep, { op: 'linear' }>,
  rows: number,
  places: Places,
): KernelStep {
  const { x, residual } = inputs;
  const { weights } = places;
  const { address, perThread } = places.scratch();
  return {
    kernel: abi.LINEAR,
    rows,
    parameters: [
      ...[...columnsAt(x, places), x.width, weights.panels(names.weight), y.width],
      ...[weights.vector(names.bias), ...(residual ? columnsAt(residual, places) : NOWHERE)],
      ...[...columnsAt(y, places), address, perThread],
    ],
  };
}

/** An embedding from float32 panels. */
export function embeddingStep(
  { weights: names, y }: Extract<PlanStep, { op: 'embedding' }>,
  places: Places,
): KernelStep {
  const table = places.weights.panels(names.weight);
  const parameters = [table, y.width, ...columnsAt(y, places)];
  return { kernel: abi.EMBEDDING, rows: abi.ROWS_TOKENS, parameters };
}

/** Writes steps where the kernels read them. */
export function writeSteps(
  steps: readonly KernelStep[],
  u32: Uint32Array,
  f32: Float32Array,
  address: number,
): void {
  steps.forEach(({ kernel, rows, parameters }, i) => {
    const at = address / 4 + i * abi.STEP_WORDS;
    u32.fill(0, at, at + abi.STEP_WORDS);
    u32[at] = kernel;
    u32[at + abi.STEP_ROWS] = rows;
    parameters.forEach((parameter, j) => {
      const place = at + abi.STEP_FIRST_PARAMETER + j;
      if (typeof parameter === 'number') u32[place] = parameter;
      else f32[place] = parameter.real;
    });
  });
}
