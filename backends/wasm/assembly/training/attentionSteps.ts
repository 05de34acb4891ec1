/** Steps of training: attention, rotary positions, losses, with their gradients. */

import {
  ATTENTION_FORWARD,
  ATTENTION_GRADIENT,
  ATTENTION_MATRIX,
  CROSS_ENTROPY,
  CROSS_ENTROPY_GRADIENT,
  DISTANCE,
  DISTANCE_GRADIENT,
  KL_DIVERGENCE,
  KL_DIVERGENCE_GRADIENT,
  MEAN,
  MIXER_MATRIX,
  MIXER_MATRIX_GRADIENT,
  ROPE_ROWS,
} from '../../training/abiAttention';
import { real, word } from '../share';
import { attentionForward } from './attentionForward';
import { attentionGradient } from './attentionGradient';
import { attentionMatrix } from './attentionMatrix';
import { crossEntropy, crossEntropyGradient, mean } from './crossEntropy';
import { distance, distanceGradient } from './distance';
import { klDivergence, klDivergenceGradient } from './klDivergence';
import { mixerMatrix } from './mixerMatrix';
import { mixerMatrixGradient } from './mixerMatrixGradient';
import { ropeRows } from './rope';

export function runAttentionStep(kernel: u32, step: usize, thread: u32, threads: u32): void {
  switch (kernel) {
    case ROPE_ROWS:
      // prettier-ignore
      ropeRows(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), word(step, 9), word(step, 10), word(step, 11), thread, threads);
      break;
    case ATTENTION_FORWARD:
      // prettier-ignore
      attentionForward(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), real(step, 9), word(step, 10), word(step, 11), word(step, 12), word(step, 13), word(step, 14), thread, threads);
      break;
    case ATTENTION_GRADIENT:
      // prettier-ignore
      attentionGradient(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), word(step, 9), real(step, 10), word(step, 11), word(step, 12), word(step, 13), word(step, 14), word(step, 15), word(step, 16), word(step, 17), word(step, 18), thread, threads);
      break;
    case ATTENTION_MATRIX:
      // prettier-ignore
      attentionMatrix(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), real(step, 8), word(step, 9), word(step, 10), word(step, 11), word(step, 12), thread, threads);
      break;
    case MIXER_MATRIX:
      // prettier-ignore
      mixerMatrix(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), word(step, 9), word(step, 10), word(step, 11), word(step, 12), word(step, 13), thread, threads);
      break;
    case MIXER_MATRIX_GRADIENT:
      // prettier-ignore
      mixerMatrixGradient(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), word(step, 9), word(step, 10), word(step, 11), word(step, 12), word(step, 13), word(step, 14), word(step, 15), word(step, 16), word(step, 17), thread, threads);
      break;
    case CROSS_ENTROPY:
      crossEntropy(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), thread, threads);
      break;
    case CROSS_ENTROPY_GRADIENT:
      // prettier-ignore
      crossEntropyGradient(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), real(step, 5), word(step, 6), word(step, 7), thread, threads);
      break;
    case KL_DIVERGENCE:
      // prettier-ignore
      klDivergence(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), thread, threads);
      break;
    case KL_DIVERGENCE_GRADIENT:
      // prettier-ignore
      klDivergenceGradient(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), real(step, 7), word(step, 8), word(step, 9), thread, threads);
      break;
    case DISTANCE:
      // prettier-ignore
      distance(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), thread, threads);
      break;
    case DISTANCE_GRADIENT:
      // prettier-ignore
      distanceGradient(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), real(step, 7), word(step, 8), word(step, 9), thread, threads);
      break;
    case MEAN:
      mean(word(step, 0), word(step, 1), real(step, 2), word(step, 3), thread);
      break;
    default:
      unreachable();
  }
}
