/** Δ, and what follows the read of every recurrence. */

import type { KernelSpec } from './kernel.ts';

/**
 * ln(1 + e^s), the identity above 20. Math.log1p is log(1 + x) on a GPU, which loses small x: a series takes
 * over there. Below 0.01 its error is under 1e-6 of the result, as x⁴/4 is to x.
 */
export const SOFTPLUS = `
      const e = Math.exp(-Math.abs(s));
      let log1p = Math.log(1 + e);
      if (e < 0.01) { log1p = e * (1 - e * (0.5 - e * (0.33333334 - e * 0.25))); }
      let softplus = Math.max(s, 0) + log1p;
      if (s > 20) { softplus = s; }`;

export interface StepSizes {
  tokens: number;
  width: number;
  from: number;
  hasBias: boolean;
  hasSoftplus: boolean;
  limit?: readonly [min: number, max: number];
}

/** Arguments: dtRaw (tokens, …), then bias (width) where there is one. Returns Δ. Shape (tokens, width). */
export function stepSize({
  tokens,
  width,
  from,
  hasBias,
  hasSoftplus,
  limit,
}: StepSizes): KernelSpec {
  const last = Number.isFinite(limit?.[1]);
  return {
    name: 'stepSize',
    source: `function (dtRaw${hasBias ? ', bias' : ''}) {
      const s = dtRaw[this.thread.y][this.constants.from + this.thread.x]${
        hasBias ? ' + bias[this.thread.x]' : ''
      };
      ${hasSoftplus ? `${SOFTPLUS}\n      let dt = softplus;` : 'let dt = s;'}
      ${limit ? 'if (dt < this.constants.least) { dt = this.constants.least; }' : ''}
      ${last ? 'if (dt > this.constants.most) { dt = this.constants.most; }' : ''}
      return dt;
    }`,
    output: [width, tokens],
    constants: {
      from,
      ...(limit && { least: limit[0] }),
      ...(last && { most: limit?.[1] as number }),
    },
  };
}

export interface FinishSizes {
  tokens: number;
  width: number;
  xFrom: number;
  zFrom: number;
  hasD: boolean;
  hasZ: boolean;
}

/**
 * Arguments: y (tokens, width), then x (tokens, …) and D (width), then z (tokens, …), where there are any.
 * Returns (y + D·x)·silu(z). Shape (tokens, width).
 */
export function skipAndGate({ tokens, width, xFrom, zFrom, hasD, hasZ }: FinishSizes): KernelSpec {
  const args = ['y', ...(hasD ? ['x', 'D'] : []), ...(hasZ ? ['z'] : [])];
  return {
    name: 'skipAndGate',
    source: `function (${args}) {
      const sum = y[this.thread.y][this.thread.x]${
        hasD ? ' + D[this.thread.x] * x[this.thread.y][this.constants.xFrom + this.thread.x]' : ''
      };
      ${
        hasZ
          ? `const g = z[this.thread.y][this.constants.zFrom + this.thread.x];
      return sum * (g / (1 + Math.exp(-g)));`
          : 'return sum;'
      }
    }`,
    output: [width, tokens],
    constants: { ...(hasD && { xFrom }), ...(hasZ && { zFrom }) },
  };
}
