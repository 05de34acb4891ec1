/** y = x·Wᵀ + b and its gradients, as products of rows in fours by panels of eight columns. */

import type { LinearIn, TrainingOps } from '../../training.ts';
import { panelsSize, strideOf } from '../packing.ts';
import * as abi from './abiLayers.ts';
import { type Buffer, own, type TrainingMemory } from './device.ts';
import { at, optionalRows, rowsOf } from './shapes.ts';

/** Most rows that a thread interleaves at a time: with all of a panel's they stay in its cache. */
const BLOCK_ROWS = 64;
/** Rows of x and dy that are multiplied with each other at a time. */
const DEPTH = 512;
/** Tiles of four outputs that a thread multiplies with all panels before it goes on. */
const GROUP_TILES = 8;
/** Bytes of four rows of a panel. */
const TILE_BYTES = 128;

export function linearOp(memory: TrainingMemory): Pick<TrainingOps, 'linear'> {
  const { threads, workspace } = memory;

  /** y = x·panels + bias, or added to y. The panels are made by a step before. */
  function multiply(
    x: Buffer,
    pack: (panels: number) => void,
    y: Buffer,
    { bias, adds = false }: { bias?: Buffer; adds?: boolean },
  ): void {
    const { rows, width: depth } = x;
    // blocks of four rows at least, eight of them for each thread if there are so many rows
    const blockRows = Math.min(BLOCK_ROWS, 4 * Math.ceil(rows / (4 * 8 * threads)));
    const perThread = 4 * blockRows * depth;
    const sizes = [4 * panelsSize(y.width, depth), threads * perThread];
    const [panels, scratch] = workspace.pieces(...sizes);
    pack(panels);
    memory.run(
      ...([abi.ROWS_BY_PANELS, ...at(x), depth, panels, y.width, at(bias)[0]] as const),
      ...[Number(adds), ...at(y), blockRows, scratch, perThread, rows],
    );
  }

  /** dW += dyᵀ·x, one block of rows after the other. */
  function multiplyRows(dy: Buffer, x: Buffer, dWeight: Buffer): void {
    const { rows } = x;
    const deepest = Math.min(DEPTH, rows);
    const sizes = [4 * deepest * x.stride, 4 * deepest * strideOf(dy.width), TILE_BYTES * threads];
    const [panels, tiles, scratch] = workspace.pieces(...sizes);
    for (let row = 0; row < rows; row += DEPTH) {
      const depth = Math.min(DEPTH, rows - row);
      const [xs, dys] = [x, dy].map(({ address, stride }) => address + 4 * row * stride);
      memory.run(
        ...([abi.PACK_COLUMNS, xs, x.stride, x.width, panels] as const),
        ...[dys, dy.stride, dy.width, tiles, depth],
      );
      memory.run(
        ...([abi.TILES_BY_PANELS, tiles, panels, depth, x.width, ...at(dWeight)] as const),
        ...[GROUP_TILES, scratch, dy.width],
      );
    }
  }

  const linear: TrainingOps['linear'] = {
    forward(input) {
      const { x, weight, bias, dOut } = buffersOf(input);
      const y = memory.output([x.rows, dOut]);
      const pack = (panels: number) =>
        memory.run(abi.PACK_ROWS, ...at(weight), weight.width, panels, dOut);
      multiply(x, pack, y, { bias });
      return { y };
    },
    backward(input, _, dyNumbers, grads) {
      const { x, weight, dOut } = buffersOf(input);
      const dy = rowsOf('linear: dy', dyNumbers, x.rows, dOut);
      const wanted = (name: keyof typeof grads, rows: number, width: number) =>
        optionalRows(`linear: gradient of ${name}`, grads[name], rows, width);
      const dx = wanted('x', x.rows, x.width);
      const dWeight = wanted('weight', dOut, x.width);
      const dBias = wanted('bias', 1, dOut);
      if (dx) {
        const pack = (panels: number) =>
          memory.run(abi.PACK_COLUMNS, ...at(weight), weight.width, panels, 0, 0, 0, 0, dOut);
        multiply(dy, pack, dx, { adds: true });
      }
      if (dWeight) multiplyRows(dy, x, dWeight);
      if (dBias) memory.run(abi.COLUMN_SUMS, ...at(dy), dOut, dBias.address, dy.rows);
    },
  };
  return { linear };
}

function buffersOf({ x: numbers, weight: matrix, bias }: LinearIn) {
  const x = own(numbers);
  const dOut = own(matrix).rows;
  return {
    x,
    dOut,
    weight: rowsOf('linear: weight', matrix, dOut, x.width),
    bias: optionalRows('linear: bias', bias, 1, dOut),
  };
}
