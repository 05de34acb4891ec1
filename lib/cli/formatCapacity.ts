/** What fits into memory, as a table for a terminal. */

import type { Capacity, StoredCapacity } from '../capacity.ts';
import { formatBytes, formatCount, formatTable } from './terminal.ts';

/** Memory, what a sequence takes of it, and a line for every way in which the weights can be stored. */
export function formatCapacity(capacity: Capacity): string {
  const { memoryBytes, limitedBy, freeBytes, sequences, stored, bytesPerSecond } = capacity;
  const free = `${formatBytes(freeBytes)} ${freeBytes === memoryBytes ? 'that are' : 'are'} free`;
  const limit =
    limitedBy === 'wasm' ? `all that WASM can address; ${free}` : `the ${free} on this machine`;
  const speed = bytesPerSecond
    ? `; tokens/s: all weights and the state once a token at the ${formatBytes(bytesPerSecond)}/s that one thread moves, measured now`
    : '';
  const lengths = sequences.map(({ tokens }) => `${formatCount(tokens)} tokens`);
  const header = [
    'weights as',
    'bytes',
    ...lengths.map((length) => `fit at ${length}`),
    ...(bytesPerSecond ? lengths.map((length) => `tokens/s at ${length}`) : []),
  ];
  const each = [
    'a sequence',
    '',
    ...sequences.map(({ bytes }) => formatBytes(bytes)),
    ...(bytesPerSecond ? sequences.map(() => '') : []),
  ];
  return [
    `memory: ${formatBytes(memoryBytes)}, ${limit}${speed}`,
    formatTable([header, each, ...stored.map(cells)]),
  ].join('\n');
}

function cells({ weights, bytes, fits, speeds = [] }: StoredCapacity): string[] {
  return [
    weights,
    formatBytes(bytes),
    ...fits.map(({ sequences }) => formatCount(sequences)),
    ...speeds.map(({ tokensPerSecond }) => formatSpeed(tokensPerSecond)),
  ];
}

const formatSpeed = (speed: number) => (speed < 100 ? speed.toPrecision(3) : formatCount(speed));
