/** Convolution and recurrences of training in WASM, with their gradients. */

import type { CausalConv1dIn, TrainingOps } from '../../training.ts';
import * as abi from './abiRecurrences.ts';
import { expectDivides } from './chunks.ts';
import { own, type TrainingMemory } from './device.ts';
import { discreteSsd, ssd } from './headRecurrences.ts';
import { selectiveScan } from './selectiveScan.ts';
import { at, optionalRows, rowsOf } from './shapes.ts';
import type { Workspace } from './workspace.ts';

type Recurrences = Pick<TrainingOps, 'causalConv1d' | 'selectiveScan' | 'ssd' | 'discreteSsd'>;

export function recurrenceOps(memory: TrainingMemory): Recurrences {
  const { workspace } = memory;
  return {
    causalConv1d: causalConv1d(memory, workspace),
    selectiveScan: selectiveScan(memory, workspace),
    ssd: ssd(memory, workspace),
    discreteSsd: discreteSsd(memory, workspace),
  };
}

/** Bytes of the numbers of four channels. */
const LANE_BYTES = 16;

export function causalConv1d(
  memory: TrainingMemory,
  workspace: Workspace,
): TrainingOps['causalConv1d'] {
  return {
    forward(input) {
      const { x, dConv, parameters } = readConvolution(input);
      const y = memory.output(x.shape);
      const perThread = LANE_BYTES * dConv;
      const [taps] = workspace.pieces(memory.threads * perThread);
      memory.run(abi.CONVOLUTION, ...parameters, ...at(y), taps, perThread);
      return { y };
    },
    backward(input, _output, dyNumbers, grads) {
      const { x, dConv, parameters } = readConvolution(input);
      const who = 'causalConv1d: gradient of';
      const dy = rowsOf(`${who} y`, dyNumbers, x.rows, x.width);
      const dx = optionalRows(`${who} x`, grads.x, x.rows, x.width);
      const dWeight = optionalRows(`${who} weight`, grads.weight, x.width, dConv);
      const dBias = optionalRows(`${who} bias`, grads.bias, 1, x.width);
      // taps, sums along them, and what comes back to each token
      const perThread = LANE_BYTES * (3 * dConv - 1 + input.seqlen);
      const [scratch] = workspace.pieces(memory.threads * perThread);
      memory.run(
        ...([abi.CONVOLUTION_GRADIENT, ...parameters, ...at(dy), ...at(dx)] as const),
        ...[...at(dWeight), dBias?.address ?? 0, scratch, perThread],
      );
    },
  };
}

/** A convolution's inputs, once their shapes fit, and what its kernels begin with. */
function readConvolution({ weight, bias, activation, seqlen, ...input }: CausalConv1dIn) {
  const who = 'causalConv1d';
  const x = own(input.x);
  const dConv = own(weight).width;
  const taps = rowsOf(`${who}: weight`, weight, x.width, dConv);
  const offset = optionalRows(`${who}: bias`, bias, 1, x.width)?.address ?? 0;
  const batch = expectDivides(who, { seqlen }, { rows: x.rows });
  const sizes = [x.width, dConv, Number(activation === 'silu'), batch, seqlen];
  return { x, dConv, parameters: [...at(x), ...at(taps), offset, ...sizes] };
}
