/**
 * The short convolution over packed tokens: each token finds older ones of its own run in the same buffer,
 * and what came before the run in the state.
 *
 * `runs` (tokens, 3) says of each token which slot it belongs to, how many tokens of its run stand before
 * it, and how many tokens its sequence has with it; `spans` (slots, 3) says where each slot's run begins, how
 * long it is, and how many tokens the slot has taken in before. State: (slots, dConv − 1, channels).
 */

import type { KernelSpec } from './kernel.ts';

export interface ConvSizes {
  tokens: number;
  slots: number;
  channels: number;
  dConv: number;
  xFrom: number;
  hasBias: boolean;
  hasSilu: boolean;
}

const finish = ({ hasBias, hasSilu }: ConvSizes) => `
      ${hasBias ? 'sum += bias[this.thread.x];' : ''}
      return ${hasSilu ? 'sum / (1 + Math.exp(-sum))' : 'sum'};`;

/**
 * Arguments: x (tokens, …), w (dConv, channels), then runs and state if dConv > 1, then bias (channels) where
 * there is one. Returns (tokens, channels). See reference/causalConv1d.ts.
 */
export function causalConv1d(sizes: ConvSizes): KernelSpec {
  const { tokens, channels, dConv, xFrom, hasBias } = sizes;
  const hasState = dConv > 1;
  const args = ['x', 'w', ...(hasState ? ['runs', 'state'] : []), ...(hasBias ? ['bias'] : [])];
  return {
    name: 'causalConv1d',
    source: `function (${args}) {
      let sum = w[this.constants.kept][this.thread.x] * x[this.thread.y][this.constants.xFrom + this.thread.x];
      ${
        hasState
          ? `const slot = runs[this.thread.y][0];
      const before = runs[this.thread.y][1];
      for (let k = 0; k < this.constants.kept; k++) {
        const ago = this.constants.kept - k;
        let v = 0;
        if (ago <= before) {
          v = x[this.thread.y - ago][this.constants.xFrom + this.thread.x];
        } else {
          v = state[slot][k + before][this.thread.x];
        }
        sum += w[k][this.thread.x] * v;
      }`
          : ''
      }${finish(sizes)}
    }`,
    output: [channels, tokens],
    constants: { kept: dConv - 1, xFrom },
  };
}

/** Arguments: x (tokens, …), state, spans. Returns the state after the run. */
export function causalConv1dState({ slots, channels, dConv, xFrom }: ConvSizes): KernelSpec {
  return {
    name: 'causalConv1dState',
    source: `function (x, state, spans) {
      const begin = spans[this.thread.z][0];
      const count = spans[this.thread.z][1];
      const ago = this.constants.kept - this.thread.y;
      if (ago <= count) {
        return x[begin + count - ago][this.constants.xFrom + this.thread.x];
      }
      return state[this.thread.z][this.thread.y + count][this.thread.x];
    }`,
    output: [channels, dConv - 1, slots],
    constants: { kept: dConv - 1, xFrom },
  };
}

/** {@link causalConv1d} with exactly one token per slot, token t in slot t; the same arguments without runs. */
export function causalConv1dStep(sizes: ConvSizes): KernelSpec {
  const { tokens, channels, dConv, xFrom, hasBias } = sizes;
  const hasState = dConv > 1;
  const args = ['x', 'w', ...(hasState ? ['state'] : []), ...(hasBias ? ['bias'] : [])];
  return {
    name: 'causalConv1dStep',
    source: `function (${args}) {
      let sum = w[this.constants.kept][this.thread.x] * x[this.thread.y][this.constants.xFrom + this.thread.x];
      ${
        hasState
          ? `for (let k = 0; k < this.constants.kept; k++) {
        sum += w[k][this.thread.x] * state[this.thread.y][k][this.thread.x];
      }`
          : ''
      }${finish(sizes)}
    }`,
    output: [channels, tokens],
    constants: { kept: dConv - 1, xFrom },
  };
}

/** Arguments: x (slots, …), state, live (slots): 0 where a slot takes no token. Returns the state after it. */
export function causalConv1dStepState({ slots, channels, dConv, xFrom }: ConvSizes): KernelSpec {
  return {
    name: 'causalConv1dStepState',
    source: `function (x, state, live) {
      if (live[this.thread.z] < 0.5) {
        return state[this.thread.z][this.thread.y][this.thread.x];
      }
      if (this.thread.y == this.constants.newest) {
        return x[this.thread.z][this.constants.xFrom + this.thread.x];
      }
      return state[this.thread.z][this.thread.y + 1][this.thread.x];
    }`,
    output: [channels, dConv - 1, slots],
    constants: { newest: dConv - 2, xFrom },
  };
}
