/** From the layouts of the reference to those of the kernels, and back. */

import { PANEL } from './abi.ts';

/** Numbers of a row of a buffer: whole panels, so that kernels may write a panel at a time. */
export const strideOf = (width: number) => Math.ceil(width / PANEL) * PANEL;

/** Four channels lie side by side in states and rates. */
const LANES = 4;
const blocksOf = (channels: number) => Math.ceil(channels / LANES);

/** Numbers that a matrix (dOut, dIn) takes in panels. */
export const panelsSize = (dOut: number, dIn: number) => strideOf(dOut) * dIn;

/** Matrix (dOut, dIn) as panels of outputs, [panel][dIn][PANEL], outputs that do not exist zero. */
export function packPanels(
  to: Float32Array,
  data: ArrayLike<number>,
  dOut: number,
  dIn: number,
): void {
  for (let from = 0; from < dOut; from += PANEL) {
    const lanes = Math.min(PANEL, dOut - from);
    const panel = from * dIn;
    if (lanes < PANEL) to.fill(0, panel, panel + PANEL * dIn);
    for (let lane = 0; lane < lanes; lane++) {
      const row = (from + lane) * dIn;
      for (let k = 0, at = panel + lane; k < dIn; k++, at += PANEL) to[at] = data[row + k];
    }
  }
}

/** Numbers that states or rates of some groups of channels take. */
export const lanesSize = (groups: number, perGroup: number, depth: number) =>
  groups * blocksOf(perGroup) * depth * LANES;

/** (groups · perGroup, depth) as [group][block of 4 channels][depth][4]. Lanes without a channel are left alone. */
export function packLanes(
  to: Float32Array,
  data: ArrayLike<number>,
  groups: number,
  perGroup: number,
  depth: number,
): void {
  eachLane(groups, perGroup, depth, (packed, plain) => {
    to[packed] = data[plain];
  });
}

/** {@link packLanes} backwards. */
export function unpackLanes(
  from: Float32Array,
  groups: number,
  perGroup: number,
  depth: number,
): Float32Array {
  const data = new Float32Array(groups * perGroup * depth);
  eachLane(groups, perGroup, depth, (packed, plain) => {
    data[plain] = from[packed];
  });
  return data;
}

function eachLane(
  groups: number,
  perGroup: number,
  depth: number,
  see: (packed: number, plain: number) => void,
): void {
  const blocks = blocksOf(perGroup);
  for (let group = 0; group < groups; group++) {
    for (let channel = 0; channel < perGroup; channel++) {
      const block = group * blocks + Math.floor(channel / LANES);
      const lane = channel % LANES;
      const plain = (group * perGroup + channel) * depth;
      for (let n = 0; n < depth; n++) see((block * depth + n) * LANES + lane, plain + n);
    }
  }
}

/** Numbers of a row of a convolution's weights or state. */
export const channelsStride = (channels: number) => blocksOf(channels) * LANES;

/** (channels, taps) as [taps][channels padded to 4]. */
export function packTaps(
  to: Float32Array,
  data: ArrayLike<number>,
  channels: number,
  taps: number,
): void {
  const stride = channelsStride(channels);
  to.fill(0, 0, taps * stride);
  for (let channel = 0; channel < channels; channel++) {
    for (let tap = 0; tap < taps; tap++) to[tap * stride + channel] = data[channel * taps + tap];
  }
}

/** {@link packTaps} backwards. */
export function unpackTaps(from: Float32Array, channels: number, taps: number): Float32Array {
  const stride = channelsStride(channels);
  const data = new Float32Array(channels * taps);
  for (let channel = 0; channel < channels; channel++) {
    for (let tap = 0; tap < taps; tap++) data[channel * taps + tap] = from[tap * stride + channel];
  }
  return data;
}

/** Rates of the scan from A: in powers of two, as its kernel wants them. */
export const inTwos = (A: ArrayLike<number>) => Float32Array.from(A, (x) => x * Math.LOG2E);

/** The same from ALog, rounded once. */
export const scanRates = (ALog: ArrayLike<number>) =>
  Float32Array.from(ALog, (x) => -Math.exp(x) * Math.LOG2E);

/** A = −exp(ALog). */
export const decayRates = (ALog: ArrayLike<number>) => Float32Array.from(ALog, (x) => -Math.exp(x));
