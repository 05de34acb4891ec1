/** Rotary positions. Cosines and sines come from the host: WGSL promises little of cos at large angles. */

import type { KernelSpec } from './kernel.ts';

export interface RopeSizes {
  tokens: number;
  nHeads: number;
  headDim: number;
  /** Rotated pairs of a head; the channels after them pass through. */
  nPairs: number;
  xFrom: number;
  pairing: 'half' | 'interleaved';
}

/** Arguments: x (tokens, …), cos (tokens, nPairs), sin. Returns (tokens, nHeads·headDim). See reference/rope.ts. */
export function rope({ tokens, nHeads, headDim, nPairs, xFrom, pairing }: RopeSizes): KernelSpec {
  const isHalf = pairing === 'half';
  return {
    name: 'rope',
    source: `function (x, cos, sin) {
      const head = Math.floor((this.thread.x + 0.5) / this.constants.headDim);
      const p = this.thread.x - head * this.constants.headDim;
      const v = x[this.thread.y][this.constants.xFrom + this.thread.x];
      if (p >= 2 * this.constants.nPairs) { return v; }
      const second = ${
        isHalf
          ? 'Math.floor((p + 0.5) / this.constants.nPairs)'
          : 'p - 2 * Math.floor((p + 0.5) / 2)'
      };
      const pair = ${isHalf ? 'p - second * this.constants.nPairs' : 'Math.floor((p + 0.5) / 2)'};
      const distance = ${isHalf ? 'this.constants.nPairs' : '1'};
      const cosine = cos[this.thread.y][pair];
      const sine = sin[this.thread.y][pair];
      if (second < 0.5) {
        return v * cosine - x[this.thread.y][this.constants.xFrom + this.thread.x + distance] * sine;
      }
      return v * cosine + x[this.thread.y][this.constants.xFrom + this.thread.x - distance] * sine;
    }`,
    output: [nHeads * headDim, tokens],
    constants: { headDim, nPairs, xFrom },
  };
}
