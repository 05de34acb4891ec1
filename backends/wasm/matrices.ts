/** How a model's matrices are stored, and the kernels that multiply with them. */

import type { PlanStep } from '../plan.ts';
import type { Kernels } from './kernels.ts';
import { embeddingStep, type KernelStep, linearStep, type Places } from './program.ts';
import type { WeightStore } from './weights.ts';

export class Matrices {
  readonly weights: WeightStore;

  constructor(_kernels: Kernels, weights: WeightStore, _isInt8: boolean) {
    this.weights = weights;
  }

  linear(step: Extract<PlanStep, { op: 'linear' }>, rows: number, places: Places): KernelStep[] {
    return [linearStep(step, rows, places)];
  }

  embedding(step: Extract<PlanStep, { op: 'embedding' }>, places: Places): KernelStep {
    return embeddingStep(step, places);
  }
}
