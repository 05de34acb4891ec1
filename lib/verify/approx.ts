/**
 * Numbers that know how wrong they may be. Computing with them is a running error analysis (Wilkinson 1963;
 * Higham 2002, "Accuracy and Stability of Numerical Algorithms", section 3.3): beside every value stands a
 * bound on how far a computation in a given arithmetic can be from the exact result. No bound is tuned.
 */

/** `|computed − value| ≤ error`, where computed is what the machine in question gets. */
export interface Approx {
  readonly value: number;
  /** Infinity where the machine may overflow: then anything goes. */
  readonly error: number;
}

/** An arithmetic: how much its operations may be off. */
export interface Machine {
  /** Relative error of +, −, ·, ÷ and √. */
  readonly unit: number;
  /** Absolute error where a result may be subnormal. */
  readonly tiny: number;
  /** Above this a result overflows. */
  readonly largest: number;
  /** Relative error of exp, log, log1p, sin and cos, in units. */
  readonly functions: number;
}

/** Float32 with rounded operations, functions rounded from a better value. */
export const FLOAT32: Machine = {
  unit: 2 ** -24 * (1 + 2 ** -20), // and what is lost in computing the bound itself
  tiny: 2 ** -149,
  largest: 3.4028234663852886e38,
  functions: 1,
};

/** Float64. The value itself is no more exact than what is compared with it, so everything counts twice. */
export const FLOAT64: Machine = {
  unit: 2 ** -52,
  tiny: 2 ** -1073,
  largest: Number.MAX_VALUE,
  functions: 2, // 1 ulp of ours, 1 of Math's
};

export const exactly = (value: number): Approx => ({ value, error: 0 });
export const ZERO: Approx = exactly(0);
export const ONE: Approx = exactly(1);

/** Calculates with {@link Approx} numbers on one machine. */
export class Calculator {
  readonly machine: Machine;

  constructor(machine: Machine) {
    this.machine = machine;
  }

  /** A result with the error that its inputs brought, once the machine has rounded it. */
  rounded(value: number, brought: number, units = 1): Approx {
    const { unit, tiny, largest } = this.machine;
    const error = brought + (Math.abs(value) + brought) * unit * units + tiny;
    return Math.abs(value) + error <= largest ? { value, error } : { value, error: Infinity };
  }

  add(a: Approx, b: Approx): Approx {
    return this.rounded(a.value + b.value, a.error + b.error);
  }

  sub(a: Approx, b: Approx): Approx {
    return this.rounded(a.value - b.value, a.error + b.error);
  }

  mul(a: Approx, b: Approx): Approx {
    const brought = Math.abs(a.value) * b.error + Math.abs(b.value) * a.error + a.error * b.error;
    return this.rounded(a.value * b.value, brought);
  }

  div(a: Approx, b: Approx): Approx {
    const smallest = Math.abs(b.value) - b.error;
    if (!(smallest > 0)) return { value: a.value / b.value, error: Infinity };
    const value = a.value / b.value;
    return this.rounded(value, (a.error + Math.abs(value) * b.error) / smallest);
  }

  sqrt(a: Approx): Approx {
    const value = Math.sqrt(a.value);
    const least = Math.sqrt(Math.max(a.value - a.error, 0));
    return this.rounded(value, a.error === 0 ? 0 : a.error / (value + least));
  }

  exp(a: Approx): Approx {
    const value = Math.exp(a.value);
    const grown = value * Math.expm1(a.error);
    const brought = Number.isFinite(grown) ? grown : Math.exp(a.value + a.error);
    return this.rounded(value, brought, this.machine.functions);
  }

  log(a: Approx): Approx {
    const brought = a.error / Math.max(a.value - a.error, 0);
    return this.rounded(Math.log(a.value), a.error === 0 ? 0 : brought, this.machine.functions);
  }

  log1p(a: Approx): Approx {
    const brought = a.error / Math.max(1 + a.value - a.error, 0);
    return this.rounded(Math.log1p(a.value), a.error === 0 ? 0 : brought, this.machine.functions);
  }

  /** A sum in any order (Higham 2002, equation 4.4). */
  sum(terms: readonly Approx[]): Approx {
    const { unit, largest } = this.machine;
    let [value, brought, size] = [0, 0, 0];
    for (const term of terms) {
      value += term.value;
      brought += term.error;
      size += Math.abs(term.value) + term.error;
    }
    const n = Math.max(terms.length - 1, 0);
    const error = brought + n * unit * (1 + n * unit) * size;
    return size + error <= largest ? { value, error } : { value, error: Infinity };
  }

  dot(a: readonly Approx[], b: readonly Approx[]): Approx {
    return this.sum(a.map((x, i) => this.mul(x, b[i])));
  }

  /** σ(x), by the form that does not overflow. */
  sigmoid(x: Approx): Approx {
    if (x.value >= 0) return this.div(ONE, this.add(ONE, this.exp(negated(x))));
    const e = this.exp(x);
    return this.div(e, this.add(ONE, e));
  }

  silu(x: Approx): Approx {
    return this.mul(x, this.sigmoid(x));
  }

  /** ln(1 + e^x), the identity above 20; next to 20 it may be either. */
  softplus(x: Approx): Approx {
    if (x.value - x.error > 20) return x;
    const y = this.log1p(this.exp(x));
    return x.value + x.error > 20 ? { value: y.value, error: y.error + 2.1e-9 } : y;
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
