/** Runs one step of training: finds the file that has its kernel. All parameters stand in the step. */

import { runAttentionStep } from './attentionSteps';
import { runLayerGradientStep } from './layerSteps';
import { runRecurrenceStep } from './recurrenceSteps';

/** The first kernel of training; each file has twenty numbers. */
export const TRAINING: u32 = 40;

export function runTrainingStep(kernel: u32, step: usize, thread: u32, threads: u32): void {
  if (kernel < TRAINING + 20) runLayerGradientStep(kernel, step, thread, threads);
  else if (kernel < TRAINING + 40) runRecurrenceStep(kernel, step, thread, threads);
  else runAttentionStep(kernel, step, thread, threads);
}
