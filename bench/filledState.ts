/** States as they are after many tokens, filled with numbers instead of decoded. */

import type { ModelConfig } from '../reference/config.ts';
import { appendRows, newState, type SequenceState } from '../reference/state.ts';
import type { Vector } from '../reference/tensor.ts';

/**
 * The state of a sequence that has taken in so many tokens: what does not grow filled, and as many keys and
 * values. The numbers are of ordinary size, none of them 0, and say nothing.
 */
export function filledState(config: ModelConfig, tokens: number): SequenceState {
  const state = newState(config, 'float32');
  state.position = tokens;
  for (const { convState, h, keys, values } of state.layers) {
    for (const part of [convState, h]) if (part) fill(part.data);
    for (const cache of [keys, values]) {
      if (!cache) continue;
      const rows = new Float32Array(tokens * cache.width);
      fill(rows);
      appendRows(cache, rows);
    }
  }
  return state;
}

/** Between −½ and ½, from the place alone. */
function fill(data: Vector): void {
  for (let i = 0; i < data.length; i++) {
    const mixed = Math.imul(i + 1, 0x9e3779b1);
    data[i] = ((mixed ^ (mixed >>> 15)) >>> 8) / 2 ** 24 - 0.5 + 2 ** -25;
  }
}
