/** y = W·x + b, one thread per output; perhaps added to what runs beside it. */

import type { KernelSpec } from './kernel.ts';

export interface LinearSizes {
  tokens: number;
  dIn: number;
  dOut: number;
  /** First column of x. */
  xFrom: number;
  hasBias: boolean;
  hasResidual: boolean;
}

/**
 * Arguments: x (tokens, …), w (dIn, dOut), then bias (dOut) and residual (tokens, dOut) where there are any.
 * Returns (tokens, dOut). See reference/linear.ts; w is its transpose, so that neighbouring threads read
 * neighbouring weights.
 */
export function linear(sizes: LinearSizes): KernelSpec {
  const { tokens, dIn, dOut, xFrom, hasBias, hasResidual } = sizes;
  const args = ['x', 'w', ...(hasBias ? ['bias'] : []), ...(hasResidual ? ['residual'] : [])];
  return {
    name: 'linear',
    source: `function (${args}) {
      let y = 0;
      for (let i = 0; i < this.constants.dIn; i++) {
        y += x[this.thread.y][this.constants.xFrom + i] * w[i][this.thread.x];
      }
      return ${hasResidual ? 'residual[this.thread.y][this.thread.x] + ' : ''}y${
        hasBias ? ' + bias[this.thread.x]' : ''
      };
    }`,
    output: [dOut, tokens],
    constants: { dIn, xFrom },
  };
}
