/** Steps of training: convolution and recurrences, with their gradients. */

import {
  ADD_UP,
  CONVOLUTION,
  CONVOLUTION_GRADIENT,
  HEAD_DECAYS,
  HEAD_DECAYS_GRADIENT,
  HEADS_GRADIENT,
  HEADS_OF_SEQUENCES,
  SCAN,
  SCAN_GRADIENT,
  SCAN_RATES,
  SCAN_RATES_GRADIENT,
} from '../../training/abiRecurrences';
import { word } from '../share';
import { convolution, convolutionGradient } from './convolution';
import { headDecays, headDecaysGradient } from './headDecays';
import { headsForward } from './headsForward';
import { headsGradient } from './headsGradient';
import { scanForward, scanRates } from './scanForward';
import { scanGradient, scanRatesGradient } from './scanGradient';
import { addUp } from './laneSums';

export function runRecurrenceStep(kernel: u32, step: usize, thread: u32, threads: u32): void {
  switch (kernel) {
    case CONVOLUTION:
      // prettier-ignore
      convolution(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), word(step, 9), word(step, 10), word(step, 11), word(step, 12), word(step, 13), thread, threads);
      break;
    case CONVOLUTION_GRADIENT:
      // prettier-ignore
      convolutionGradient(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), word(step, 9), word(step, 10), word(step, 11), word(step, 12), word(step, 13), word(step, 14), word(step, 15), word(step, 16), word(step, 17), word(step, 18), thread, threads);
      break;
    case SCAN_RATES:
      // prettier-ignore
      scanRates(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), thread, threads);
      break;
    case SCAN:
      // prettier-ignore
      scanForward(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), word(step, 9), word(step, 10), word(step, 11), word(step, 12), word(step, 13), word(step, 14), word(step, 15), word(step, 16), word(step, 17), word(step, 18), word(step, 19), thread, threads);
      break;
    case SCAN_GRADIENT:
      // prettier-ignore
      scanGradient(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), word(step, 9), word(step, 10), word(step, 11), word(step, 12), word(step, 13), word(step, 14), word(step, 15), word(step, 16), word(step, 17), word(step, 18), word(step, 19), word(step, 20), word(step, 21), word(step, 22), word(step, 23), word(step, 24), word(step, 25), word(step, 26), word(step, 27), word(step, 28), word(step, 29), word(step, 30), word(step, 31), word(step, 32), word(step, 33), thread, threads);
      break;
    case SCAN_RATES_GRADIENT:
      // prettier-ignore
      scanRatesGradient(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), thread, threads);
      break;
    case HEAD_DECAYS:
      // prettier-ignore
      headDecays(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), thread, threads);
      break;
    case HEADS_OF_SEQUENCES:
      // prettier-ignore
      headsForward(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), word(step, 9), word(step, 10), word(step, 11), word(step, 12), word(step, 13), word(step, 14), word(step, 15), word(step, 16), word(step, 17), word(step, 18), word(step, 19), thread, threads);
      break;
    case HEADS_GRADIENT:
      // prettier-ignore
      headsGradient(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), word(step, 9), word(step, 10), word(step, 11), word(step, 12), word(step, 13), word(step, 14), word(step, 15), word(step, 16), word(step, 17), word(step, 18), word(step, 19), word(step, 20), word(step, 21), word(step, 22), word(step, 23), word(step, 24), word(step, 25), word(step, 26), word(step, 27), word(step, 28), word(step, 29), word(step, 30), word(step, 31), thread, threads);
      break;
    case HEAD_DECAYS_GRADIENT:
      // prettier-ignore
      headDecaysGradient(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), word(step, 9), word(step, 10), word(step, 11), word(step, 12), word(step, 13), thread, threads);
      break;
    case ADD_UP:
      // prettier-ignore
      addUp(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), thread, threads);
      break;
    default:
      unreachable();
  }
}
