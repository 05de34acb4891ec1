/** Tokens from logits without leaving the device: the likeliest, or one drawn with a given uniform number. */

import type { KernelSpec } from './kernel.ts';

export interface LogitSizes {
  rows: number;
  /** Logits with a meaning; what stands behind them is padding. */
  vocabSize: number;
}

/** Logits that one thread looks at: about √vocabSize, so that two stages do the same work. */
function chunkOf(vocabSize: number): { chunk: number; chunks: number } {
  const chunk = Math.max(1, Math.ceil(Math.sqrt(vocabSize)));
  return { chunk, chunks: Math.ceil(vocabSize / chunk) };
}

/** Argument: logits (rows, …). Returns the index of the first largest of each chunk. Shape (rows, chunks). */
export function chunkArgmax({ rows, vocabSize }: LogitSizes): KernelSpec {
  const { chunk, chunks } = chunkOf(vocabSize);
  return {
    name: 'chunkArgmax',
    source: `function (logits) {
      const first = this.thread.x * this.constants.chunk;
      let best = first;
      let most = logits[this.thread.y][first];
      for (let i = 1; i < this.constants.chunk; i++) {
        if (first + i < this.constants.vocabSize) {
          const v = logits[this.thread.y][first + i];
          if (v > most) { most = v; best = first + i; }
        }
      }
      return best;
    }`,
    output: [chunks, rows],
    constants: { chunk, vocabSize },
  };
}

/** Arguments: logits, {@link chunkArgmax}'s output. Returns the index of the first largest. Shape (rows). */
export function argmax({ rows, vocabSize }: LogitSizes): KernelSpec {
  return {
    name: 'argmax',
    source: `function (logits, best) {
      let token = best[this.thread.x][0];
      let most = logits[this.thread.x][token];
      for (let c = 1; c < this.constants.chunks; c++) {
        const i = best[this.thread.x][c];
        const v = logits[this.thread.x][i];
        if (v > most) { most = v; token = i; }
      }
      return token;
    }`,
    output: [rows],
    constants: { chunks: chunkOf(vocabSize).chunks },
  };
}

/**
 * Arguments: logits, best (rows) from {@link argmax}. Returns Σ e^((logit − largest)/temperature) of each chunk.
 * Shape (rows, chunks).
 */
export function chunkWeights({ rows, vocabSize }: LogitSizes, temperature: number): KernelSpec {
  const { chunk, chunks } = chunkOf(vocabSize);
  return {
    name: 'chunkWeights',
    source: `function (logits, best) {
      const most = logits[this.thread.y][best[this.thread.y]];
      let sum = 0;
      for (let i = 0; i < this.constants.chunk; i++) {
        const at = this.thread.x * this.constants.chunk + i;
        if (at < this.constants.vocabSize) {
          sum += Math.exp((logits[this.thread.y][at] - most) / this.constants.temperature);
        }
      }
      return sum;
    }`,
    output: [chunks, rows],
    constants: { chunk, vocabSize, temperature },
  };
}

/** Argument: {@link chunkWeights}'s output. Returns their sum. Shape (rows). */
export function totalWeight({ rows, vocabSize }: LogitSizes): KernelSpec {
  return {
    name: 'totalWeight',
    source: `function (weights) {
      let total = 0;
      for (let c = 0; c < this.constants.chunks; c++) { total += weights[this.thread.x][c]; }
      return total;
    }`,
    output: [rows],
    constants: { chunks: chunkOf(vocabSize).chunks },
  };
}

/**
 * Arguments: logits, best (rows), weights (rows, chunks), total (rows), u (rows) in [0, 1). Returns the token at
 * which the cumulative distribution first exceeds u, in order of token ids; never one without weight. Shape
 * (rows). See reference/sampling.ts.
 */
export function chooseToken({ rows, vocabSize }: LogitSizes, temperature: number): KernelSpec {
  const { chunk, chunks } = chunkOf(vocabSize);
  return {
    name: 'chooseToken',
    source: `function (logits, best, weights, total, u) {
      const row = this.thread.x;
      const target = u[row] * total[row];
      let before = 0;
      let found = -1;
      for (let c = 0; c < this.constants.chunks; c++) {
        if (found < 0) {
          if (before + weights[row][c] > target) { found = c; }
          else { before += weights[row][c]; }
        }
      }
      if (found < 0) { return best[row]; }
      const most = logits[row][best[row]];
      let token = -1;
      let last = best[row];
      for (let i = 0; i < this.constants.chunk; i++) {
        const at = found * this.constants.chunk + i;
        if (at < this.constants.vocabSize && token < 0) {
          const weight = Math.exp((logits[row][at] - most) / this.constants.temperature);
          before += weight;
          if (weight > 0) {
            last = at;
            if (before > target) { token = at; }
          }
        }
      }
      if (token < 0) { return last; }
      return token;
    }`,
    output: [rows],
    constants: { chunk, chunks, vocabSize, temperature },
  };
}
