/** The small arrays that tell kernels which tokens belong to which sequence, made anew for every call. */

import type { Plan } from '../plan.ts';
import type { Device } from './device.ts';
import type { Handle } from './kernel.ts';
import type { Sequence } from './slots.ts';
import { type Call, frequencyKey } from './steps.ts';

/** Tokens for one sequence. */
export interface Work {
  readonly sequence: Sequence;
  readonly tokens: readonly number[];
}

export interface CallSizes {
  /** Tokens that the program has room for. */
  readonly tokens: number;
  readonly slots: number;
}

/**
 * Lays out a call: in a prefill the tokens of all sequences one after another, in a step each in the place of
 * its sequence. Room that is left over belongs to no sequence and changes no state.
 * @param ended sequences whose logits are wanted, in a prefill.
 * @param chosen the tokens, where the device has them already.
 */
export async function makeCall(
  device: Device,
  plan: Plan,
  { tokens: room, slots }: CallSizes,
  work: readonly Work[],
  { ended = [], chosen }: { ended?: readonly Sequence[]; chosen?: Handle } = {},
): Promise<Call> {
  const tokens = new Float32Array(room);
  const runs = new Float32Array(3 * room);
  const spans = new Float32Array(3 * slots);
  const live = new Float32Array(slots);
  const last = new Float32Array(slots);
  const positions = new Array<number>(room).fill(0);
  for (let t = 0; t < room; t++) runs[3 * t + 2] = 1; // sees one key, so that no sum is empty
  let packed = 0;
  for (const { sequence, tokens: own } of work) {
    const { slot, position } = sequence;
    const begin = plan.kind === 'step' ? slot : packed;
    own.forEach((token, i) => {
      tokens[begin + i] = token;
      positions[begin + i] = position + i;
      runs.set([slot, i, position + i + 1], 3 * (begin + i));
    });
    spans.set([begin, own.length, position], 3 * slot);
    live[slot] = 1;
    last[slot] = begin + own.length - 1;
    packed += own.length;
  }
  const isStep = plan.kind === 'step';
  const attends = plan.steps.some(({ op }) => op === 'attention' || op === 'attentionStep');
  const places = !isStep || attends;
  return {
    tokens: chosen ?? (await device.uploadTo(`${plan.kind} tokens`, tokens, [room])),
    ...(places && {
      runs: await device.uploadTo(`${plan.kind} runs`, runs, [3, room]),
      spans: await device.uploadTo('spans', spans, [3, slots]),
    }),
    ...(isStep && { live: await device.uploadTo('live', live, [slots]) }),
    ...(ended.length > 0 && { last: await device.uploadTo('last', last, [slots]) }),
    rotations: await rotationsOf(device, plan, positions),
  };
}

/** Cosines and sines of positions for every rope of a plan, from Float64 angles. */
async function rotationsOf(
  device: Device,
  { kind, steps }: Plan,
  positions: readonly number[],
): Promise<Call['rotations']> {
  const rotations = new Map<string, { cos: Handle; sin: Handle }>();
  for (const step of steps) {
    if (step.op !== 'rope') continue;
    const { frequencies } = step.attributes;
    const key = frequencyKey(frequencies);
    if (rotations.has(key)) continue;
    const angles = positions.flatMap((position) => frequencies.map((f) => f * position));
    const dims = [frequencies.length, positions.length];
    const name = `${kind} ${rotations.size}`;
    rotations.set(key, {
      cos: await device.uploadTo(`cos ${name}`, Float32Array.from(angles, Math.cos), dims),
      sin: await device.uploadTo(`sin ${name}`, Float32Array.from(angles, Math.sin), dims),
    });
  }
  return rotations;
}
