/** How a model's matrices are stored, and the kernels that multiply with them. */

import type { Plan, PlanStep } from '../plan.ts';
import * as abi from './abi.ts';
import { BLOCK_TOKENS } from './calls.ts';
import { fitsInt8, quantisedBytes } from './int8.ts';
import type { Kernels } from './kernels.ts';
import { columnsAt, embeddingStep, type KernelStep, linearStep, type Places } from './program.ts';
import type { WeightStore } from './weights.ts';

type Linear = Extract<PlanStep, { op: 'linear' }>;
type Embedding = Extract<PlanStep, { op: 'embedding' }>;

/**
 * Float32 panels, or 8 bits where a row is cut into whole blocks (Δ's low rank often is not: it stays float32). What a
 * model multiplies by the vector alone (norms, biases, filters, rates, D) is never quantised.
 */
export class Matrices {
  readonly weights: WeightStore;
  readonly #kernels: Kernels;
  readonly #isInt8: boolean;
  /** Quantised inputs. */
  readonly #quantised: number = 0;

  constructor(kernels: Kernels, weights: WeightStore, isInt8: boolean, plan: Plan) {
    this.#kernels = kernels;
    this.weights = weights;
    this.#isInt8 = isInt8;
    if (!isInt8) return;
    const widths = plan.steps.map((step) => (step.op === 'linear' ? step.inputs.x.width : 0));
    const row = quantisedBytes(Math.max(...widths), kernels.usesQuads);
    this.#quantised = weights.room(BLOCK_TOKENS * row);
  }

  linear(step: Linear, rows: number, places: Places): KernelStep[] {
    const { inputs, weights: names, y } = step;
    const { x, residual } = inputs;
    if (!this.#isInt8 || !fitsInt8(x.width)) return [linearStep(step, rows, places)];
    const { usesQuads } = this.#kernels;
    const way = Number(usesQuads);
    const quantise = {
      kernel: abi.QUANTISE,
      rows,
      parameters: [...columnsAt(x, places), x.width, this.#quantised, way],
    };
    const product = {
      kernel: abi.LINEAR_INT8,
      rows,
      parameters: [
        ...[this.#quantised, quantisedBytes(x.width, usesQuads), x.width],
        ...[this.weights.int8(names.weight, usesQuads), y.width, this.weights.vector(names.bias)],
        ...[...(residual ? columnsAt(residual, places) : [0, 0]), ...columnsAt(y, places), way],
      ],
    };
    return [quantise, product];
  }

  embedding(step: Embedding, places: Places): KernelStep {
    const { weights: names, y } = step;
    if (!this.#isInt8 || !fitsInt8(y.width)) return embeddingStep(step, places);
    const { usesQuads } = this.#kernels;
    const table = this.weights.int8(names.weight, usesQuads);
    const parameters = [table, y.width, Number(usesQuads), ...columnsAt(y, places)];
    return { kernel: abi.EMBEDDING_INT8, rows: abi.ROWS_TOKENS, parameters };
  }
}
