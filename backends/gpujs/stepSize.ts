/** Δ, and what follows the read of every recurrence. */

import type { KernelSpec } from './kernel.ts';

/**
 * ln(1 + e^s), the identity above 20, as max(s, 0) + ln(1 + e) with e = e^−|s|. A GPU has no log1p, and ln(1 + e)
 * loses what 1 + e rounds away. So ln(1 + e) = 2·artanh(e/(2 + e)) is summed here: its argument is at most 1/3,
 * and the first term left out is under 2e-8 of the result.
 */
export const SOFTPLUS = `
      const e = Math.exp(-Math.abs(s));
      const q = e / (2 + e);
      const r = q * q;
      const tail = 0.14285715 + r * (0.11111111 + r * (0.09090909 + r * 0.07692308));
      const log1p = 2 * q * (1 + r * (0.33333334 + r * (0.2 + r * tail)));
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
