/** How a model's matrices are stored, and the kernels that multiply with them. */

import type { Plan, PlanStep } from '../plan.ts';
import * as abi from './abi.ts';
import { BLOCK_TOKENS } from './calls.ts';
import { fitsInt8, quantisedBytes } from './int8.ts';
import type { Kernels } from './kernels.ts';
import { columnsAt, embeddingStep, type KernelStep, linearStep, type Places } from './program.ts';
import { SLACK, type WeightStore } from './weights.ts';

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
  /** Quantised inputs, and a widened panel for every thread. */
  readonly #quantised: number = 0;
  readonly #wide: number = 0;
  readonly #wideBytes: number = 0;

  constructor(kernels: Kernels, weights: WeightStore, isInt8: boolean, plan: Plan) {
    this.#kernels = kernels;
    this.weights = weights;
    this.#isInt8 = isInt8;
    if (!isInt8) return;
    const widest = Math.max(
      ...plan.steps.map((step) => (step.op === 'linear' ? step.inputs.x.width : 0)),
    );
    if (kernels.hasDots) {
      this.#quantised = weights.room(BLOCK_TOKENS * quantisedBytes(widest + abi.BLOCK));
    } else {
      this.#wideBytes = 4 * abi.PANEL * widest + SLACK;
      this.#wide = weights.room(this.#wideBytes * kernels.threads);
    }
  }

  linear(step: Linear, rows: number, places: Places): KernelStep[] {
    const { inputs, weights: names, y } = step;
    const { x, residual } = inputs;
    if (!this.#isInt8 || !fitsInt8(x.width)) return [linearStep(step, rows, places)];
    const { hasDots } = this.#kernels;
    const from = columnsAt(x, places);
    const quantise = {
      kernel: abi.QUANTISE,
      rows,
      parameters: [...from, x.width, this.#quantised],
    };
    const input = hasDots ? [this.#quantised, quantisedBytes(x.width)] : [from[0], 4 * from[1]];
    const product = {
      kernel: abi.LINEAR_INT8,
      rows,
      parameters: [
        ...[...input, x.width, this.weights.int8(names.weight, hasDots), y.width],
        ...[this.weights.vector(names.bias), ...(residual ? columnsAt(residual, places) : [0, 0])],
        ...[...columnsAt(y, places), this.#wide, this.#wideBytes, Number(hasDots)],
      ],
    };
    return hasDots ? [quantise, product] : [product];
  }

  embedding(step: Embedding, places: Places): KernelStep {
    const { weights: names, y } = step;
    if (!this.#isInt8 || !fitsInt8(y.width)) return embeddingStep(step, places);
    const { hasDots } = this.#kernels;
    const table = this.weights.int8(names.weight, hasDots);
    const parameters = [table, y.width, Number(hasDots), ...columnsAt(y, places)];
    return { kernel: abi.EMBEDDING_INT8, rows: abi.ROWS_TOKENS, parameters };
  }
}
