/**
 * Softmax attention over a cache, in five kernels: append, score, largest score, exponentials, read. `runs` and
 * `spans` as in causalConv1d.ts. Cache: (slots, capacity, nKvHeads·headDim); scores: (tokens, nHeads, capacity).
 */

import type { KernelSpec } from './kernel.ts';

export interface AttentionSizes {
  tokens: number;
  slots: number;
  /** Tokens for which the cache has room. */
  capacity: number;
  nHeads: number;
  nKvHeads: number;
  headDim: number;
  scale: number;
  qFrom: number;
}

/** Arguments: cache, rows (tokens, …), spans. Returns the cache with each slot's new rows at its end. */
export function appendToCache(
  { slots, capacity, nKvHeads, headDim }: AttentionSizes,
  from: number,
): KernelSpec {
  const width = nKvHeads * headDim;
  return {
    name: 'appendToCache',
    source: `function (cache, rows, spans) {
      const begin = spans[this.thread.z][0];
      const count = spans[this.thread.z][1];
      const at = this.thread.y - spans[this.thread.z][2];
      if (at >= 0 && at < count) {
        return rows[begin + at][this.constants.from + this.thread.x];
      }
      return cache[this.thread.z][this.thread.y][this.thread.x];
    }`,
    output: [width, capacity, slots],
    constants: { from },
    inPlace: (cache: Float32Array[][], rows: Float32Array[], spans: Float32Array[]) => {
      spans.forEach(([begin, count, position], slot) => {
        for (let i = 0; i < count; i++) {
          cache[slot][position + i].set(rows[begin + i].subarray(from, from + width));
        }
      });
    },
  };
}

/** Arguments: q (tokens, …), keys (cache), runs. Returns scale·q·k, far below any score where there is no key. */
export function attentionScores(sizes: AttentionSizes): KernelSpec {
  const { tokens, capacity, nHeads, nKvHeads, headDim, scale, qFrom } = sizes;
  return {
    name: 'attentionScores',
    source: `function (q, keys, runs) {
      const slot = runs[this.thread.z][0];
      if (this.thread.x >= runs[this.thread.z][2]) { return -1e30; }
      const at = Math.floor((this.thread.y + 0.5) / this.constants.perKvHead) * this.constants.headDim;
      const from = this.constants.qFrom + this.thread.y * this.constants.headDim;
      let sum = 0;
      for (let p = 0; p < this.constants.headDim; p++) {
        sum += q[this.thread.z][from + p] * keys[slot][this.thread.x][at + p];
      }
      return sum * this.constants.scale;
    }`,
    output: [capacity, nHeads, tokens],
    constants: { perKvHead: nHeads / nKvHeads, headDim, qFrom, scale },
  };
}

/** Arguments: scores, runs. Returns the largest of each head. Shape (tokens, nHeads). */
export function attentionLargest({ tokens, nHeads }: AttentionSizes): KernelSpec {
  return {
    name: 'attentionLargest',
    source: `function (scores, runs) {
      const length = runs[this.thread.y][2];
      let largest = -1e30;
      for (let j = 0; j < length; j++) {
        largest = Math.max(largest, scores[this.thread.y][this.thread.x][j]);
      }
      return largest;
    }`,
    output: [nHeads, tokens],
    constants: {},
  };
}

/** Arguments: scores, largest, runs. Returns e^(score − largest), 0 where there is no key. */
export function attentionExponentials({ tokens, nHeads, capacity }: AttentionSizes): KernelSpec {
  return {
    name: 'attentionExponentials',
    source: `function (scores, largest, runs) {
      if (this.thread.x >= runs[this.thread.z][2]) { return 0; }
      return Math.exp(scores[this.thread.z][this.thread.y][this.thread.x] - largest[this.thread.z][this.thread.y]);
    }`,
    output: [capacity, nHeads, tokens],
    constants: {},
  };
}

/** Arguments: exponentials, runs. Returns their sum of each head. Shape (tokens, nHeads). */
export function attentionTotal({ tokens, nHeads }: AttentionSizes): KernelSpec {
  return {
    name: 'attentionTotal',
    source: `function (exponentials, runs) {
      const length = runs[this.thread.y][2];
      let total = 0;
      for (let j = 0; j < length; j++) {
        total += exponentials[this.thread.y][this.thread.x][j];
      }
      return total;
    }`,
    output: [nHeads, tokens],
    constants: {},
  };
}

/** Arguments: exponentials, total, values (cache), runs. Returns the heads. Shape (tokens, nHeads·headDim). */
export function attentionRead({ tokens, nHeads, nKvHeads, headDim }: AttentionSizes): KernelSpec {
  return {
    name: 'attentionRead',
    source: `function (exponentials, total, values, runs) {
      const head = Math.floor((this.thread.x + 0.5) / this.constants.headDim);
      const p = this.thread.x - head * this.constants.headDim;
      const at = Math.floor((head + 0.5) / this.constants.perKvHead) * this.constants.headDim + p;
      const slot = runs[this.thread.y][0];
      const length = runs[this.thread.y][2];
      if (length < 0.5) { return 0; }
      let sum = 0;
      for (let j = 0; j < length; j++) {
        sum += exponentials[this.thread.y][head][j] * values[slot][j][at];
      }
      return sum / total[this.thread.y][head];
    }`,
    output: [nHeads * headDim, tokens],
    constants: { perKvHead: nHeads / nKvHeads, headDim },
  };
}
