/** What the axes of every output mean, so that an element can be named: y at batch 0, time step 3, channel 2. */

import type { OpName } from '../../reference/ops.ts';

const AXES: Record<string, readonly string[]> = {
  perToken: ['batch', 'time step', 'channel'],
  perTokenHead: ['batch', 'time step', 'head', 'channel of the head'],
  channelState: ['batch', 'channel', 'state'],
  headState: ['batch', 'head', 'channel of the head', 'state'],
  token: ['batch', 'channel'],
  tokenHead: ['batch', 'head', 'channel of the head'],
  rows: ['row', 'column'],
  convState: ['batch', 'channel', 'column'],
  matrix: ['batch', 'head', 'output time step', 'input time step'],
  lanes: ['lane', 'time step'],
  chunks: ['batch', 'chunk', 'head', 'channel of the head', 'state'],
  weights: ['batch', 'head', 'time step', 'key'],
  stepWeights: ['batch', 'head', 'key'],
};

/** The axes of an op's output; numbered where it has others than those of its op. */
export function axesOf(op: OpName, output: string, rank: number): readonly string[] {
  const named = AXES[kindOf(op, output, rank)];
  return named?.length === rank ? named : Array.from({ length: rank }, (_, i) => `axis ${i}`);
}

function kindOf(op: OpName, output: string, rank: number): string {
  const isStep = op.endsWith('Step');
  switch (output) {
    case 'M':
    case 'M·x':
      return output === 'M' ? 'matrix' : rank === 3 ? 'perToken' : 'perTokenHead';
    case 'weights':
      return isStep ? 'stepWeights' : 'weights';
    case 'convState':
      return 'convState';
    case 'h':
      return rank === 3 ? 'channelState' : 'headState';
    case 'entering':
    case 'written':
      return 'chunks';
    case 'a':
    case 'b':
      return 'lanes';
    default:
      if (rank === 2) return isStep ? 'token' : 'rows';
      if (rank === 3) return isStep ? 'tokenHead' : 'perToken';
      return 'perTokenHead';
  }
}

/** Which axis is time, or −1. */
export function timeAxis(axes: readonly string[]): number {
  return axes.findIndex((axis) => axis.endsWith('time step') || axis === 'chunk');
}

/** Index along every axis of a flat index. */
export function unflatten(flat: number, shape: readonly number[]): number[] {
  const index: number[] = [];
  let rest = flat;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index.unshift(rest % shape[axis]);
    rest = Math.floor(rest / shape[axis]);
  }
  return index;
}
