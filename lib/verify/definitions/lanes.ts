/** A linear recurrence in every state, with a bound on what its arithmetic and its order can lose. */

import type { Tensor } from '../../../reference/tensor.ts';
import { type Approx, type Calculator, exactly, type Machine } from '../approx.ts';

/** How the work may be ordered: token by token, or in any other way (chunks, trees, a matrix). */
export type Order = 'sequential' | 'any';

/** What a recurrence is, apart from where its numbers come from.  */
export interface Recurrence {
  sizes: { batch: number; seqlen: number; channels: number; dState: number };
  /** ln of the decay of state n of a channel. */
  logDecay(b: number, t: number, channel: number, n: number): Approx;
  /** The decay itself, where it is not computed from its logarithm. */
  decay?(b: number, t: number, channel: number, n: number): Approx;
  written(b: number, t: number, channel: number, n: number): Approx;
  /** Sizes of the factors of what is written, added up: another order may multiply others first. */
  factors(b: number, t: number, channel: number, n: number): number;
  C(b: number, t: number, channel: number, n: number): Approx;
  /** Index of (b, channel, n) in h. */
  h?: Tensor;
  /** What is done with C·h. */
  finish(read: Approx, b: number, t: number, channel: number): Approx;
}

export interface RecurrenceOutput {
  y: Approx[];
  h: Approx[];
}

/**
 * What another order of the same sums and products may change in one state. Each product of decays and a
 * write is then rounded elsewhere, so the change is a share of the sum of absolute values, and other factors
 * meet first, so that one of them may have underflowed before it is multiplied by the rest.
 */
class Reordering {
  /** Sum of |products| that the state holds. */
  size: number;
  /** What the state may be off by. */
  error = 0;
  /** Sum of everything that an underflowed product may later be multiplied by. */
  #factors: number;
  readonly #machine: Machine;
  readonly #seqlen: number;

  constructor(h: number, seqlen: number, machine: Machine) {
    this.size = Math.abs(h);
    this.#factors = Math.abs(h) + 1;
    this.#seqlen = seqlen;
    this.#machine = machine;
  }

  /** Takes in one token; returns what underflow and overflow between may cost what is read along C. */
  step(decay: Approx, logDecay: Approx, written: Approx, factors: number, C: number): number {
    const { unit, tiny, largest } = this.#machine;
    const a = decay.value + decay.error;
    const size = Math.abs(written.value) + written.error;
    // exponents may be summed before exp: each of the seqlen additions rounds in proportion to the sum
    const share = (Math.abs(logDecay.value) * (this.#seqlen + 1) + 8) * unit;
    this.#factors += size + factors;
    const lost = 4 * tiny * this.#factors;
    this.error = a * (this.error + share * this.size) + 8 * unit * size + lost;
    this.size = a * this.size + size;
    // a state may be read before it has decayed
    return (Math.abs(C) + 1) * this.#factors * (this.#seqlen + 1) > largest ? Infinity : lost;
  }
}

/** Runs a recurrence over every token of every row. */
export function runRecurrence(r: Recurrence, calc: Calculator, order: Order): RecurrenceOutput {
  const { batch, seqlen, channels, dState } = r.sizes;
  const { unit } = calc.machine;
  const y: Approx[] = new Array(batch * seqlen * channels);
  const h: Approx[] = new Array(batch * channels * dState);
  for (let b = 0; b < batch; b++) {
    for (let channel = 0; channel < channels; channel++) {
      const at = (b * channels + channel) * dState;
      const state = Array.from({ length: dState }, (_, n) => exactly(r.h?.data[at + n] ?? 0));
      const reorderings =
        order === 'any' && state.map(({ value }) => new Reordering(value, seqlen, calc.machine));
      for (let t = 0; t < seqlen; t++) {
        const terms: Approx[] = [];
        let reordered = 0;
        for (let n = 0; n < dState; n++) {
          const logDecay = r.logDecay(b, t, channel, n);
          const decay = r.decay?.(b, t, channel, n) ?? calc.exp(logDecay);
          const written = r.written(b, t, channel, n);
          const C = r.C(b, t, channel, n);
          state[n] = calc.add(calc.mul(decay, state[n]), written);
          terms.push(calc.mul(C, state[n]));
          if (!reorderings) continue;
          const reordering = reorderings[n];
          const factors = r.factors(b, t, channel, n);
          const lost = reordering.step(decay, logDecay, written, factors, C.value);
          const rounded = (seqlen + dState + 10) * unit * reordering.size;
          reordered += Math.abs(C.value) * (reordering.error + rounded) + lost;
        }
        const { value, error } = calc.sum(terms);
        const read = { value, error: error + reordered };
        y[(b * seqlen + t) * channels + channel] = r.finish(read, b, t, channel);
      }
      state.forEach(({ value, error }, n) => {
        const more =
          reorderings && reorderings[n].error + (seqlen + 10) * unit * reorderings[n].size;
        h[at + n] = { value, error: error + (more || 0) };
      });
    }
  }
  return { y, h };
}
