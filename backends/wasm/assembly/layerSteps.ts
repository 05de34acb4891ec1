/** Runs one step of a program that is neither a matrix nor a recurrence: everything between them. */

import {
  APPEND_TO_CACHE,
  ATTENTION,
  CAUSAL_CONV,
  CHOOSE,
  EMBEDDING,
  GATE,
  GATED_RMS_NORM,
  JOIN_COLUMNS,
  LAST_TOKENS,
  LAYER_NORM,
  POINTWISE,
  REPEAT_COLUMNS,
  RMS_NORM,
  ROPE,
  SOFTMAX,
} from '../abi';
import { attention } from './attention';
import { appendToCache } from './cache';
import { causalConv1d } from './causalConv1d';
import { choose } from './choosing';
import { gate, joinColumns, lastTokens, repeatColumns } from './columns';
import { embedding } from './embedding';
import { gatedRmsNorm, layerNorm, rmsNorm } from './norms';
import { pointwise, softmax } from './pointwise';
import { rope } from './rope';
import { real, word } from './share';

/** A thread's share of a step on `rows` rows. */
export function runLayerStep(
  step: usize,
  call: usize,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  switch (load<u32>(step)) {
    case EMBEDDING:
      // prettier-ignore
      embedding(word(step, 0), word(step, 1), word(step, 2), word(step, 3), call, rows, thread, threads);
      break;
    case RMS_NORM:
      // prettier-ignore
      rmsNorm(word(step, 0), word(step, 1), word(step, 2), word(step, 3), real(step, 4), word(step, 5), word(step, 6), rows, thread, threads);
      break;
    case LAYER_NORM:
      // prettier-ignore
      layerNorm(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), real(step, 5), word(step, 6), word(step, 7), rows, thread, threads);
      break;
    case GATED_RMS_NORM:
      // prettier-ignore
      gatedRmsNorm(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), real(step, 7), word(step, 8), word(step, 9), word(step, 10), word(step, 11), rows, thread, threads);
      break;
    case GATE:
      // prettier-ignore
      gate(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), rows, thread, threads);
      break;
    case REPEAT_COLUMNS:
      // prettier-ignore
      repeatColumns(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), rows, thread, threads);
      break;
    case JOIN_COLUMNS:
      // prettier-ignore
      joinColumns(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), word(step, 9), word(step, 10), rows, thread, threads);
      break;
    case LAST_TOKENS:
      // prettier-ignore
      lastTokens(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), call, thread, threads);
      break;
    case ROPE:
      // prettier-ignore
      rope(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), call, rows, thread, threads);
      break;
    case CAUSAL_CONV:
      // prettier-ignore
      causalConv1d(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), word(step, 9), call, thread, threads);
      break;
    case APPEND_TO_CACHE:
      // prettier-ignore
      appendToCache(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), call, rows, thread, threads);
      break;
    case ATTENTION:
      // prettier-ignore
      attention(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), real(step, 5), word(step, 6), word(step, 7), word(step, 8), word(step, 9), word(step, 10), word(step, 11), call, rows, thread, threads);
      break;
    case POINTWISE:
      // prettier-ignore
      pointwise(word(step, 0), word(step, 1), word(step, 2), word(step, 3), thread, threads);
      break;
    case SOFTMAX:
      // prettier-ignore
      softmax(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), rows, thread, threads);
      break;
    case CHOOSE:
      // prettier-ignore
      choose(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), rows, thread, threads);
      break;
    default:
      unreachable();
  }
}
