/** Runs one step of a program: finds its kernel and gives it its parameters. */

import {
  CALL_LAST,
  CALL_TOKENS,
  EMBEDDING_INT8,
  HEADS,
  LINEAR,
  LINEAR_INT8,
  QUANTISE,
  ROWS_LAST,
  SELECTIVE_SCAN,
  STEP_ROWS,
} from '../abi';
import { embeddingInt8 } from './embedding';
import { heads } from './heads';
import { runLayerStep } from './layerSteps';
import { linear } from './linear';
import { linearInt8 } from './linearInt8';
import { quantise } from './quantise';
import { selectiveScan } from './selectiveScan';
import { ofCall, real, word } from './share';
import { runTrainingStep, TRAINING } from './training/index';

/** A thread's share of a step. */
export function runStep(step: usize, call: usize, thread: u32, threads: u32): void {
  const kernel = load<u32>(step);
  if (kernel >= TRAINING) {
    runTrainingStep(kernel, step, thread, threads);
    return;
  }
  const isLast = load<u32>(step + (STEP_ROWS << 2)) == ROWS_LAST;
  const rows = ofCall(call, isLast ? CALL_LAST : CALL_TOKENS);
  switch (kernel) {
    case LINEAR:
      // prettier-ignore
      linear(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), word(step, 9), word(step, 10), word(step, 11), rows, thread, threads);
      break;
    case LINEAR_INT8:
      // prettier-ignore
      linearInt8(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), word(step, 9), word(step, 10), rows, thread, threads);
      break;
    case QUANTISE:
      quantise(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), rows, thread, threads);
      break;
    case EMBEDDING_INT8:
      embeddingInt8(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), call, rows, thread, threads);
      break;
    case SELECTIVE_SCAN:
      // prettier-ignore
      selectiveScan(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), word(step, 9), word(step, 10), word(step, 11), word(step, 12), word(step, 13), word(step, 14), word(step, 15), word(step, 16), word(step, 17), word(step, 18), word(step, 19), call, thread, threads);
      break;
    case HEADS:
      // prettier-ignore
      heads(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), word(step, 9), word(step, 10), word(step, 11), word(step, 12), word(step, 13), word(step, 14), word(step, 15), word(step, 16), word(step, 17), word(step, 18), real(step, 19), real(step, 20), word(step, 21), word(step, 22), call, thread, threads);
      break;
    default:
      runLayerStep(step, call, rows, thread, threads);
  }
}
