/** Kernels that move columns or meet them element by element. */

import type { KernelSpec } from './kernel.ts';

export interface GateSizes {
  tokens: number;
  width: number;
  valueFrom: number;
  gateFrom: number;
  hasBias: boolean;
}

/**
 * Arguments: value (tokens, …), gate (tokens, …), then bias (width) where there is one.
 * Returns value ⊙ silu(gate + bias). Shape (tokens, width).
 */
export function gate({ tokens, width, valueFrom, gateFrom, hasBias }: GateSizes): KernelSpec {
  return {
    name: 'gate',
    source: `function (value, gate${hasBias ? ', bias' : ''}) {
      const g = gate[this.thread.y][this.constants.gateFrom + this.thread.x]${
        hasBias ? ' + bias[this.thread.x]' : ''
      };
      return value[this.thread.y][this.constants.valueFrom + this.thread.x] * (g / (1 + Math.exp(-g)));
    }`,
    output: [width, tokens],
    constants: { valueFrom, gateFrom },
  };
}

/** One of the parts of {@link joinColumns}: its first column, and how many. */
export interface Part {
  from: number;
  width: number;
}

/** Arguments: two or three buffers (tokens, …). Returns their columns side by side. */
export function joinColumns(tokens: number, [a, b, c]: readonly Part[]): KernelSpec {
  return {
    name: 'joinColumns',
    source: `function (a, b${c ? ', c' : ''}) {
      if (this.thread.x < this.constants.aWidth) {
        return a[this.thread.y][this.constants.aFrom + this.thread.x];
      }
      const x = this.thread.x - this.constants.aWidth;
      ${
        c
          ? `if (x >= this.constants.bWidth) {
        return c[this.thread.y][this.constants.cFrom + x - this.constants.bWidth];
      }`
          : ''
      }
      return b[this.thread.y][this.constants.bFrom + x];
    }`,
    output: [a.width + b.width + (c?.width ?? 0), tokens],
    constants: {
      aFrom: a.from,
      aWidth: a.width,
      bFrom: b.from,
      ...(c && { bWidth: b.width, cFrom: c.from }),
    },
  };
}

export interface RepeatSizes {
  tokens: number;
  /** Columns of x. */
  columns: number;
  xFrom: number;
  /** Columns of a group, and its copies. */
  width: number;
  times: number;
}

/** Argument: x (tokens, …). Returns every group of columns `times` times, copies next to each other. */
export function repeatColumns({ tokens, columns, xFrom, width, times }: RepeatSizes): KernelSpec {
  return {
    name: 'repeatColumns',
    source: `function (x) {
      const copy = Math.floor((this.thread.x + 0.5) / this.constants.width);
      const group = Math.floor((copy + 0.5) / this.constants.times);
      const i = this.thread.x - copy * this.constants.width;
      return x[this.thread.y][this.constants.xFrom + group * this.constants.width + i];
    }`,
    output: [columns * times, tokens],
    constants: { xFrom, width, times },
  };
}

/** Arguments: x (tokens, width), rows (n): indices of tokens as floats. Returns those rows. Shape (n, width). */
export function pickRows({ rows, width }: { rows: number; width: number }): KernelSpec {
  return {
    name: 'pickRows',
    source: 'function (x, rows) { return x[rows[this.thread.y]][this.thread.x]; }',
    output: [width, rows],
    constants: {},
  };
}
