/**
 * Numbers that know how wrong they may be. Computing with them is a running error analysis (Wilkinson 1963;
 * Higham 2002, "Accuracy and Stability of Numerical Algorithms", section 3.3): beside every value stands a
 * bound on how far a computation in a given arithmetic can be from the exact result. No bound is tuned.
 */

import type { Loss, Machine } from './machines.ts';

export { FLOAT32, FLOAT64, type Machine } from './machines.ts';

/** `|computed − value| ≤ error`, where computed is what the machine in question gets. */
export interface Approx {
  readonly value: number;
  /** Infinity where the machine may overflow: then anything goes. */
  readonly error: number;
}

export const exactly = (value: number): Approx => ({ value, error: 0 });
export const ZERO: Approx = exactly(0);
export const ONE: Approx = exactly(1);

/**
 * Which ways of computing an equation a bound covers: the reference's order of operations, or every right
 * one (sums as trees or chunks, fused, products in another order, σ as 1/(1 + e^−x)).
 */
export type Freedom = 'ours' | 'any';

/** Calculates with {@link Approx} numbers on one machine. */
export class Calculator {
  readonly machine: Machine;
  readonly freedom: Freedom;

  constructor(machine: Machine, freedom: Freedom = 'ours') {
    this.machine = machine;
    this.freedom = freedom;
  }

  /** A result with the error that its inputs brought, once the machine has rounded it. */
  rounded(value: number, brought: number, units = 1, absolute = 0): Approx {
    const { unit, tiny, largest } = this.machine;
    const error = brought + (Math.abs(value) + brought) * unit * units + absolute + tiny;
    return Math.abs(value) + error <= largest ? { value, error } : { value, error: Infinity };
  }

  /** An operand as the machine takes it: where it flushes, a subnormal may become zero. */
  #read(a: Approx): Approx {
    const { flushes, tiny } = this.machine;
    const size = Math.abs(a.value);
    if (!flushes || size - a.error >= tiny) return a;
    return { value: a.value, error: a.error + Math.min(size + a.error, tiny) };
  }

  add(left: Approx, right: Approx): Approx {
    const [a, b] = [this.#read(left), this.#read(right)];
    return this.rounded(a.value + b.value, a.error + b.error);
  }

  sub(left: Approx, right: Approx): Approx {
    return this.add(left, negated(right));
  }

  mul(left: Approx, right: Approx): Approx {
    const [a, b] = [this.#read(left), this.#read(right)];
    const brought = Math.abs(a.value) * b.error + Math.abs(b.value) * a.error + a.error * b.error;
    return this.rounded(a.value * b.value, brought);
  }

  /**
   * A product, from left to right; in any freedom in every association: where the factors above 1 overflow by
   * themselves, anything goes, and where those below 1 underflow, the others multiply what is lost.
   */
  product(factors: readonly Approx[]): Approx {
    const inOrder = factors.reduce((product, factor) => this.mul(product, factor));
    if (this.freedom === 'ours') return inOrder;
    const { largest, tiny } = this.machine;
    let [large, small] = [1, 1];
    for (const { value, error } of factors) {
      large *= Math.max(Math.abs(value) + error, 1);
      small *= Math.min(Math.max(Math.abs(value) - error, 0), 1);
    }
    if (!(large <= largest)) return { value: inOrder.value, error: Infinity };
    const isZero = factors.some(({ value, error }) => value === 0 && error === 0);
    const lost = isZero || small >= 2 * tiny ? 0 : factors.length * tiny * large;
    return { value: inOrder.value, error: inOrder.error + lost };
  }

  div(left: Approx, right: Approx): Approx {
    const { division, largestDivisor } = this.machine;
    const [a, b] = [this.#read(left), this.#read(right)];
    const value = a.value / b.value;
    const smallest = Math.abs(b.value) - b.error;
    if (!(smallest > 0)) return { value, error: Infinity };
    const vanishes = Math.abs(b.value) + b.error > largestDivisor;
    const brought = (a.error + Math.abs(value) * b.error) / smallest;
    return this.rounded(value, brought, division, vanishes ? Math.abs(value) : 0);
  }

  sqrt(operand: Approx): Approx {
    const a = this.#read(operand);
    const value = Math.sqrt(a.value);
    const least = Math.sqrt(Math.max(a.value - a.error, 0));
    return this.rounded(value, a.error === 0 ? 0 : a.error / (value + least), this.machine.sqrt);
  }

  exp(a: Approx): Approx {
    const value = Math.exp(a.value);
    const grown = value * Math.expm1(a.error);
    const brought = Number.isFinite(grown) ? grown : Math.exp(a.value + a.error);
    return this.#lossy(value, brought, this.machine.exp(Math.abs(a.value) + a.error));
  }

  log(operand: Approx): Approx {
    const a = this.#read(operand);
    const brought = a.error === 0 ? 0 : a.error / Math.max(a.value - a.error, 0);
    return this.#lossy(Math.log(a.value), brought, this.machine.log(a.value));
  }

  log1p(operand: Approx): Approx {
    const a = this.#read(operand);
    const brought = a.error === 0 ? 0 : a.error / Math.max(1 + a.value - a.error, 0);
    return this.#lossy(Math.log1p(a.value), brought, this.machine.log1p(a.value));
  }

  /** cos and sin of an angle that is given exactly. */
  rotation(angle: number): { cos: Approx; sin: Approx } {
    return {
      cos: this.#lossy(Math.cos(angle), 0, this.machine.cos(angle)),
      sin: this.#lossy(Math.sin(angle), 0, this.machine.sin(angle)),
    };
  }

  #lossy(value: number, brought: number, { units, absolute }: Loss): Approx {
    return this.rounded(value, brought, units, absolute);
  }

  /** A sum in any order (Higham 2002, equation 4.4). */
  sum(terms: readonly Approx[]): Approx {
    const { unit, largest, flushes, tiny } = this.machine;
    let [value, brought, size] = [0, 0, 0];
    for (const term of terms) {
      const { value: x, error } = this.#read(term);
      value += x;
      brought += error;
      size += Math.abs(x) + error;
    }
    const n = Math.max(terms.length - 1, 0);
    // sums of subnormals are exact where they are not flushed
    const flushed = flushes ? n * Math.min(tiny, size) : 0;
    const error = brought + n * unit * (1 + n * unit) * size + flushed;
    return size + error <= largest ? { value, error } : { value, error: Infinity };
  }

  dot(a: readonly Approx[], b: readonly Approx[]): Approx {
    return this.sum(a.map((x, i) => this.mul(x, b[i])));
  }

  /** σ(x), by the form that does not overflow; in any freedom also as 1/(1 + e^−x), 0 where that overflows. */
  sigmoid(x: Approx): Approx {
    const inverse = () => this.div(ONE, this.add(ONE, this.exp(negated(x))));
    if (x.value >= 0) return inverse();
    const e = this.exp(x);
    const careful = this.div(e, this.add(ONE, e));
    if (this.freedom === 'ours') return careful;
    const direct = inverse();
    const error = direct.error === Infinity ? careful.value + careful.error : direct.error;
    return { value: careful.value, error: Math.max(careful.error, error) };
  }

  silu(x: Approx): Approx {
    return this.mul(x, this.sigmoid(x));
  }

  /** value·silu(gate); in any freedom also as (value·gate)·σ(gate), which may overflow before σ makes it small. */
  gated(value: Approx, gate: Approx): Approx {
    if (this.freedom === 'ours') return this.mul(value, this.silu(gate));
    return this.product([value, gate, this.sigmoid(gate)]);
  }

  /**
   * ln(1 + e^x), the identity above 20; next to 20 it may be either. In any freedom it may be either above 20
   * too, as long as e^x does not overflow.
   */
  softplus(x: Approx): Approx {
    const switched = 2.1e-9; // ln(1 + e^20) − 20
    const isAbove = x.value - x.error > 20;
    if (isAbove && this.freedom === 'ours') return x;
    const byLog = this.log1p(this.exp(x));
    if (isAbove && byLog.error === Infinity) return x;
    if (isAbove) return { value: x.value, error: Math.max(x.error, byLog.error) + switched };
    const error = x.value + x.error > 20 ? byLog.error + switched : byLog.error;
    return { value: byLog.value, error };
  }

  /** ln σ(x). */
  logSigmoid(x: Approx): Approx {
    if (x.value >= 0) return negated(this.log1p(this.exp(negated(x))));
    return this.sub(x, this.log1p(this.exp(x)));
  }
}

export function negated({ value, error }: Approx): Approx {
  return { value: -value, error };
}
