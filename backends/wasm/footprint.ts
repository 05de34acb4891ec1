/** What a model takes in the memory of the kernels, counted from its plans before anything is loaded. */

import type { Plan, PlanStep } from '../plan.ts';
import { assignRegisters } from '../registers.ts';
import type { WeightFormat } from '../types.ts';
import { BLOCK_TOKENS } from './calls.ts';
import { fitsInt8, int8Bytes, quantisedBytes } from './int8.ts';
import { Memory } from './memory.ts';
import { panelsSize, strideOf } from './packing.ts';
import { rounded } from './pieces.ts';
import { attentionScratch, choiceScratch, linearScratch } from './scratch.ts';
import { SequenceStore } from './sequences.ts';
import { SLACK } from './weights.ts';

export interface Footprint {
  /** Bytes of the weights. */
  readonly weights: number;
  /** Bytes of those that a step reads: not of an embedding's other rows. */
  readonly weightsRead: number;
  /** Bytes of the buffers between steps, and of what threads keep aside for sequences of so many tokens. */
  work(tokens: number): number;
  /** Bytes of a sequence of so many tokens. */
  sequence(tokens: number): number;
}

interface Planned {
  readonly plans: readonly [prefill: Plan, step: Plan];
  /** Shapes of the weights by name. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  readonly threads: number;
}

/**
 * Counts. Where 8-bit numbers are multiplied four at a time (relaxed SIMD), sums are stored too: a ninth more than is
 * counted here.
 */
export function footprintOf({ plans, shapes, threads }: Planned, format: WeightFormat): Footprint {
  const [, step] = plans;
  const matrices = new Set(step.steps.flatMap(matrixOf));
  const readWhole = new Set(
    step.steps.flatMap((one) => (one.op === 'linear' ? matrixOf(one) : [])),
  );
  const bytesOf = (name: string, shape: readonly number[]) =>
    rounded(SLACK + (matrices.has(name) ? matrixBytes(shape, format) : 4 * product(shape)));
  let [weights, weightsRead] = [0, 0];
  for (const [name, shape] of shapes) {
    const bytes = bytesOf(name, shape);
    weights += bytes;
    // of an embedding that is no head too, one row
    const isTable = matrices.has(name) && !readWhole.has(name);
    weightsRead += isTable ? bytes / shape[0] : bytes;
  }
  const store = new SequenceStore(new Memory(false, 0), step.state, step.steps);
  return {
    weights,
    weightsRead,
    work: (tokens) => bufferBytes(plans, format) + threads * scratchBytes(step, tokens),
    sequence: (tokens) => store.bytesFor(tokens, 0),
  };
}

function matrixOf(step: PlanStep): string[] {
  return step.op === 'linear' || step.op === 'embedding' ? [step.weights.weight] : [];
}

function matrixBytes([dOut, dIn]: readonly number[], format: WeightFormat): number {
  // as in Matrices: rows that are not whole blocks stay float32
  if (format === 'int8' && fitsInt8(dIn)) return int8Bytes(dOut, dIn, false);
  return 4 * panelsSize(dOut, dIn);
}

/** As in Runner: buffers of both plans share memory where their width and register are the same. */
function bufferBytes(plans: readonly Plan[], format: WeightFormat): number {
  const sizes = new Map<string, number>();
  for (const plan of plans) {
    const registers = assignRegisters(plan);
    for (const { y } of plan.steps) {
      const bytes = 4 * BLOCK_TOKENS * strideOf(y.width) + SLACK;
      sizes.set(`${y.width} ${registers.get(y.buffer)}`, bytes);
    }
  }
  const buffers = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  if (format !== 'int8') return buffers;
  // inputs of 8-bit matrices are made 8-bit numbers first
  const widths = plans.flatMap(({ steps }) =>
    steps.map((step) => (step.op === 'linear' ? step.inputs.x.width : 0)),
  );
  return buffers + BLOCK_TOKENS * quantisedBytes(Math.max(...widths), false);
}

function scratchBytes({ steps, config }: Plan, tokens: number): number {
  const ofSteps = steps.map((step) => {
    if (step.op === 'linear') return linearScratch(BLOCK_TOKENS, step.inputs.x.width);
    return step.op === 'attentionStep' ? attentionScratch(step.attributes, tokens) : 0;
  });
  return Math.max(...ofSteps, choiceScratch(config.vocabRows));
}

const product = (shape: readonly number[]) => shape.reduce((size, n) => size * n, 1);
