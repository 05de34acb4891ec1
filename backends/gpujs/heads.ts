/**
 * The recurrence over heads that Mamba-2 and Discrete Mamba-2 share, over packed tokens:
 * h ← decay·h + scale·x⊗B, y = C·h. Where the two differ is what decay and scale are.
 *
 * `runs` and `spans` as in causalConv1d.ts. State: (slots, dState, nHeads·headDim), channels fastest. Head i
 * uses group ⌊i·nGroups/nHeads⌋ of B and C.
 */

import type { KernelSpec } from './kernel.ts';

export interface HeadSizes {
  tokens: number;
  slots: number;
  nHeads: number;
  headDim: number;
  dState: number;
  nGroups: number;
  xFrom: number;
  BFrom: number;
  CFrom: number;
}

/** Arguments: dt (tokens, nHeads), A (nHeads). Returns exp(Δ·A), Mamba-2's decay. Shape (tokens, nHeads). */
export function ssdDecay({ tokens, nHeads }: HeadSizes): KernelSpec {
  return {
    name: 'ssdDecay',
    source:
      'function (dt, A) { return Math.exp(dt[this.thread.y][this.thread.x] * A[this.thread.x]); }',
    output: [nHeads, tokens],
    constants: {},
  };
}

/** Argument: a (tokens, …). Returns σ(−a), Discrete Mamba-2's decay. Shape (tokens, nHeads). */
export function discreteDecay({ tokens, nHeads }: HeadSizes, from: number): KernelSpec {
  return {
    name: 'discreteDecay',
    source: `function (a) {
      return 1 / (1 + Math.exp(a[this.thread.y][this.constants.from + this.thread.x]));
    }`,
    output: [nHeads, tokens],
    constants: { from },
  };
}

/** Argument: a (tokens, …). Returns ones: Discrete Mamba-2 writes x⊗B as it is. Shape (tokens, nHeads). */
export function discreteScale({ tokens, nHeads }: HeadSizes): KernelSpec {
  return {
    name: 'discreteScale',
    source: 'function () { return 1; }',
    output: [nHeads, tokens],
    constants: {},
  };
}

const places = `
      const head = Math.floor((c + 0.5) / this.constants.headDim);
      const at = Math.floor((head + 0.5) / this.constants.perGroup) * this.constants.dState;`;

const live = `
        for (let s = 0; s < count; s++) {
          const written = scale[first + s][head] * x[first + s][this.constants.xFrom + c] * B[first + s][this.constants.BFrom + at + n];
          h = decay[first + s][head] * h + written;
        }`;

const constantsOf = ({ nHeads, headDim, dState, nGroups }: HeadSizes) => ({
  headDim,
  dState,
  perGroup: nHeads / nGroups,
});

/** Arguments: decay, scale, x, B, C, state, runs. Returns C·h of each token. Shape (tokens, channels). */
export function headsRead(sizes: HeadSizes): KernelSpec {
  const { tokens, nHeads, headDim, xFrom, BFrom, CFrom } = sizes;
  return {
    name: 'headsRead',
    source: `function (decay, scale, x, B, C, state, runs) {
      const c = this.thread.x;
      const slot = runs[this.thread.y][0];
      const count = runs[this.thread.y][1] + 1;
      const first = this.thread.y - runs[this.thread.y][1];${places}
      let y = 0;
      for (let n = 0; n < this.constants.dState; n++) {
        let h = state[slot][n][c];${live}
        y += C[this.thread.y][this.constants.CFrom + at + n] * h;
      }
      return y;
    }`,
    output: [nHeads * headDim, tokens],
    constants: { ...constantsOf(sizes), xFrom, BFrom, CFrom },
  };
}

/** Arguments: decay, scale, x, B, state, spans. Returns the state after each slot's run. */
export function headsState(sizes: HeadSizes): KernelSpec {
  const { slots, nHeads, headDim, dState, xFrom, BFrom } = sizes;
  return {
    name: 'headsState',
    source: `function (decay, scale, x, B, state, spans) {
      const c = this.thread.x;
      const n = this.thread.y;
      const first = spans[this.thread.z][0];
      const count = spans[this.thread.z][1];${places}
      let h = state[this.thread.z][n][c];${live}
      return h;
    }`,
    output: [nHeads * headDim, dState, slots],
    constants: { ...constantsOf(sizes), xFrom, BFrom },
  };
}

/** Arguments: decay, scale, x, B, state, live (slots): 0 where a slot takes no token. Returns the state after it. */
export function headsStepState(sizes: HeadSizes): KernelSpec {
  const { slots, nHeads, headDim, dState, xFrom, BFrom } = sizes;
  return {
    name: 'headsStepState',
    source: `function (decay, scale, x, B, state, live) {
      const c = this.thread.x;
      const n = this.thread.y;
      const t = this.thread.z;
      const h = state[t][n][c];
      if (live[t] < 0.5) { return h; }${places}
      const written = scale[t][head] * x[t][this.constants.xFrom + c] * B[t][this.constants.BFrom + at + n];
      return decay[t][head] * h + written;
    }`,
    output: [nHeads * headDim, dState, slots],
    constants: { ...constantsOf(sizes), xFrom, BFrom },
  };
}

/** Arguments: state after the token, C. Returns C·h. Shape (slots, channels). */
export function headsStepRead(sizes: HeadSizes): KernelSpec {
  const { slots, nHeads, headDim, CFrom } = sizes;
  return {
    name: 'headsStepRead',
    source: `function (state, C) {
      const c = this.thread.x;${places}
      let y = 0;
      for (let n = 0; n < this.constants.dState; n++) {
        y += C[this.thread.y][this.constants.CFrom + at + n] * state[this.thread.y][n][c];
      }
      return y;
    }`,
    output: [nHeads * headDim, slots],
    constants: { ...constantsOf(sizes), CFrom },
  };
}
