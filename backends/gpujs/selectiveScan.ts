/**
 * Mamba-1's recurrence over packed tokens. A thread returns one number, so the thread of a token lives
 * through its run again from the state before it; runs are short, because callers cut them into blocks.
 *
 * `runs` and `spans` as in causalConv1d.ts. State: (slots, dState, dInner), channels fastest; A: (dState,
 * dInner). Channel d uses group ⌊d·nGroups/dInner⌋ of B and C.
 */

import type { KernelSpec } from './kernel.ts';

export interface ScanSizes {
  tokens: number;
  slots: number;
  dInner: number;
  dState: number;
  nGroups: number;
  /** First columns. */
  xFrom: number;
  BFrom: number;
  CFrom: number;
}

/** One state of channel d, through tokens first … first + count − 1. */
const live = `
        for (let s = 0; s < count; s++) {
          const dtNow = dt[first + s][d];
          const written = dtNow * B[first + s][this.constants.BFrom + at + n] * x[first + s][this.constants.xFrom + d];
          h = Math.exp(dtNow * A[n][d]) * h + written;
        }`;

const group = `
      const at = Math.floor((d + 0.5) / this.constants.perGroup) * this.constants.dState;`;

const constantsOf = ({ dInner, dState, nGroups, xFrom, BFrom }: ScanSizes) => ({
  dState,
  perGroup: dInner / nGroups,
  xFrom,
  BFrom,
});

/** Arguments: dt (tokens, dInner), x, A, B, C, state, runs. Returns C·h of each token. Shape (tokens, dInner). */
export function selectiveScan(sizes: ScanSizes): KernelSpec {
  return {
    name: 'selectiveScan',
    source: `function (dt, x, A, B, C, state, runs) {
      const d = this.thread.x;
      const slot = runs[this.thread.y][0];
      const count = runs[this.thread.y][1] + 1;
      const first = this.thread.y - runs[this.thread.y][1];${group}
      let y = 0;
      for (let n = 0; n < this.constants.dState; n++) {
        let h = state[slot][n][d];${live}
        y += C[this.thread.y][this.constants.CFrom + at + n] * h;
      }
      return y;
    }`,
    output: [sizes.dInner, sizes.tokens],
    constants: { ...constantsOf(sizes), CFrom: sizes.CFrom },
  };
}

/** Arguments: dt, x, A, B, state, spans. Returns the state after each slot's run. */
export function selectiveScanState(sizes: ScanSizes): KernelSpec {
  return {
    name: 'selectiveScanState',
    source: `function (dt, x, A, B, state, spans) {
      const d = this.thread.x;
      const n = this.thread.y;
      const first = spans[this.thread.z][0];
      const count = spans[this.thread.z][1];${group}
      let h = state[this.thread.z][n][d];${live}
      return h;
    }`,
    output: [sizes.dInner, sizes.dState, sizes.slots],
    constants: constantsOf(sizes),
  };
}

/** Arguments: dt, x, A, B, state, live (slots): 0 where a slot takes no token. Returns the state after it. */
export function selectiveScanStepState(sizes: ScanSizes): KernelSpec {
  return {
    name: 'selectiveScanStepState',
    source: `function (dt, x, A, B, state, live) {
      const d = this.thread.x;
      const n = this.thread.y;
      const h = state[this.thread.z][n][d];
      if (live[this.thread.z] < 0.5) { return h; }
      const dtNow = dt[this.thread.z][d];${group}
      const written = dtNow * B[this.thread.z][this.constants.BFrom + at + n] * x[this.thread.z][this.constants.xFrom + d];
      return Math.exp(dtNow * A[n][d]) * h + written;
    }`,
    output: [sizes.dInner, sizes.dState, sizes.slots],
    constants: constantsOf(sizes),
  };
}

/** Arguments: state after the token, C. Returns C·h. Shape (slots, dInner). */
export function selectiveScanStep({
  slots,
  dInner,
  dState,
  nGroups,
  CFrom,
}: ScanSizes): KernelSpec {
  return {
    name: 'selectiveScanStep',
    source: `function (state, C) {
      const d = this.thread.x;${group}
      let y = 0;
      for (let n = 0; n < this.constants.dState; n++) {
        y += C[this.thread.y][this.constants.CFrom + at + n] * state[this.thread.y][n][d];
      }
      return y;
    }`,
    output: [dInner, slots],
    constants: { dState, perGroup: dInner / nGroups, CFrom },
  };
}
