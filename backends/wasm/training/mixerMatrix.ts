/** Discrete Mamba-2 as a matrix of each head, with its gradient. */

import { ConfigError } from '../../../reference/errors.ts';
import type { MixerMatrixIn, TrainingOps } from '../../training.ts';
import { strideOf } from '../packing.ts';
import * as abi from './abiAttention.ts';
import { COLUMN_SUMS, FILL } from './abiLayers.ts';
import { BLOCK_NUMBERS, lines, sequencesOf } from './attention.ts';
import { own, type TrainingMemory } from './device.ts';
import { at, optionalRows, rowsOf } from './shapes.ts';

/** Numbers of a tile of products. */
const TILE = 32;

export function mixerMatrixOp(memory: TrainingMemory): Pick<TrainingOps, 'mixerMatrix'> {
  const { threads, workspace } = memory;

  const mixerMatrix: TrainingOps['mixerMatrix'] = {
    forward(input) {
      const { a, B, C, D, sizes, columns, batch } = buffersOf(input);
      const { nHeads, seqlen } = input;
      const y = memory.output([batch * nHeads * seqlen, seqlen]);
      const perThread = lines(4 * y.stride * (3 * columns + 7));
      const [scratch] = workspace.pieces(threads * perThread);
      memory.run(
        ...([abi.MIXER_MATRIX, a.address, B.address, C.address, at(D)[0], y.address] as const),
        ...[...sizes, scratch, perThread],
      );
      return { y };
    },
    backward(input, _, dyNumbers, grads) {
      const { a, B, C, D, sizes, columns, batch } = buffersOf(input);
      const { nHeads, seqlen } = input;
      const dy = rowsOf('mixerMatrix', dyNumbers, batch * nHeads * seqlen, seqlen);
      const wanted = (name: 'a' | 'B' | 'C', { rows, width } = { a, B, C }[name]) =>
        at(optionalRows('mixerMatrix', grads[name], rows, width))[0];
      const dD = D && optionalRows('mixerMatrix', grads.D, 1, nHeads);
      const stride = strideOf(nHeads);
      const perThread = lines(4 * (dy.stride * (6 * columns + 8) + 3 * BLOCK_NUMBERS + TILE));
      const sums = dD ? 4 * batch * stride : 0;
      const [scratch, diagonals] = workspace.pieces(threads * perThread, sums);
      // the sums of columns are of whole panels
      if (dD) memory.run(FILL, diagonals, batch * stride);
      memory.run(
        ...([abi.MIXER_MATRIX_GRADIENT, a.address, B.address, C.address, dy.address] as const),
        ...[...sizes, wanted('a'), wanted('B'), wanted('C'), dD ? diagonals : 0, stride],
        ...[scratch, perThread],
      );
      if (dD) memory.run(COLUMN_SUMS, diagonals, stride, nHeads, dD.address, batch);
    },
  };
  return { mixerMatrix };
}

function buffersOf(input: MixerMatrixIn) {
  const { nHeads, nGroups, seqlen } = input;
  const B = own(input.B);
  const dState = B.width / nGroups;
  if (!Number.isInteger(dState) || !Number.isInteger(nHeads / nGroups)) {
    throw new ConfigError(
      `mixerMatrix: expected nGroups to divide ${B.width} columns and nHeads, ` +
        `got nGroups = ${nGroups}, nHeads = ${nHeads}`,
    );
  }
  const a = rowsOf('mixerMatrix', input.a, B.rows, nHeads);
  const C = rowsOf('mixerMatrix', input.C, B.rows, B.width);
  const D = optionalRows('mixerMatrix', input.D, 1, nHeads);
  const batch = sequencesOf('mixerMatrix', B.rows, seqlen);
  const sizes = [a.stride, B.stride, nHeads, nGroups, dState, seqlen, batch];
  return { a, B, C, D, sizes, columns: strideOf(dState), batch };
}
