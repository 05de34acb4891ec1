/** Ops on single numbers, and softmax over rows. */

import type { KernelSpec } from './kernel.ts';
import { SOFTPLUS } from './stepSize.ts';

export interface RowSizes {
  rows: number;
  width: number;
}

const BODIES = {
  silu: 'return s / (1 + Math.exp(-s));',
  sigmoid: 'return 1 / (1 + Math.exp(-s));',
  softplus: `${SOFTPLUS}\n      return softplus;`,
};

/** Argument: x (rows, width). Returns the function of every element. */
export function pointwise(op: keyof typeof BODIES, { rows, width }: RowSizes): KernelSpec {
  return {
    name: op,
    source: `function (x) {
      const s = x[this.thread.y][this.thread.x];
      ${BODIES[op]}
    }`,
    output: [width, rows],
    constants: {},
  };
}

/** Argument: x (rows, width). Returns the largest of each row. Shape (rows). */
export function rowLargest({ rows, width }: RowSizes): KernelSpec {
  return {
    name: 'rowLargest',
    source: `function (x) {
      let largest = x[this.thread.x][0];
      for (let i = 1; i < this.constants.width; i++) {
        largest = Math.max(largest, x[this.thread.x][i]);
      }
      return largest;
    }`,
    output: [rows],
    constants: { width },
  };
}

/** Arguments: x (rows, width), largest (rows). Returns Σ e^(x − largest). Shape (rows). */
export function rowTotal({ rows, width }: RowSizes): KernelSpec {
  return {
    name: 'rowTotal',
    source: `function (x, largest) {
      let total = 0;
      for (let i = 0; i < this.constants.width; i++) {
        total += Math.exp(x[this.thread.x][i] - largest[this.thread.x]);
      }
      return total;
    }`,
    output: [rows],
    constants: { width },
  };
}

/** Arguments: x (rows, width), largest (rows), total (rows). Returns softmax(x), or its logarithm. */
export function softmax({ rows, width }: RowSizes, isLog: boolean): KernelSpec {
  return {
    name: isLog ? 'logSoftmax' : 'softmax',
    source: `function (x, largest, total) {
      const s = x[this.thread.y][this.thread.x] - largest[this.thread.y];
      return ${isLog ? 's - Math.log(total[this.thread.y])' : 'Math.exp(s) / total[this.thread.y]'};
    }`,
    output: [width, rows],
    constants: {},
  };
}
