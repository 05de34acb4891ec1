/** Steps of training that work on rows: matrices, norms, gates, columns, the optimiser. */

import { FILL } from '../../training/abiLayers';
import { word } from '../share';
import { fill } from './fill';

export function runLayerGradientStep(kernel: u32, step: usize, thread: u32, threads: u32): void {
  switch (kernel) {
    case FILL:
      fill(word(step, 0), word(step, 1), thread, threads);
      break;
    default:
      unreachable();
  }
}
