/** Mamba-1's scan of training in WASM, with its gradient. */

import type { SelectiveScanIn, TrainingOps } from '../../training.ts';
import * as abi from './abiRecurrences.ts';
import { CHUNK, expectDivides } from './chunks.ts';
import { own, type TrainingMemory } from './device.ts';
import { at, optionalRows, rowsOf } from './shapes.ts';
import type { Workspace } from './workspace.ts';

/** Addresses of what the gradient needs besides the input. */
interface Kept {
  /** A·log₂(e), packed. */
  readonly rates: number;
  /** States before each chunk, packed. */
  readonly states: number;
}

const LANES = 4;

export function selectiveScan(
  memory: TrainingMemory,
  workspace: Workspace,
): TrainingOps['selectiveScan'] {
  return {
    forward(input) {
      const { x, ALog, sizes, packed, parameters } = readScan(input);
      const { nGroups, perGroup, dState, batch, seqlen } = sizes;
      const rates = memory.scratch(packed);
      const states = memory.scratch(batch * Math.ceil(seqlen / CHUNK) * packed);
      const y = memory.output(x.shape);
      memory.run(abi.SCAN_RATES, ...at(ALog), nGroups, perGroup, dState, rates);
      memory.run(abi.SCAN, ...parameters(rates), states, ...at(y));
      return { y, kept: { rates, states } satisfies Kept };
    },
    backward(input, output, dyNumbers, grads) {
      const { x, B, sizes, packed, parameters } = readScan(input);
      const { nGroups, perGroup, dState, batch } = sizes;
      const { rates, states } = output.kept as Kept;
      const who = 'selectiveScan: gradient of';
      const dy = rowsOf(`${who} y`, dyNumbers, x.rows, x.width);
      const dx = optionalRows(`${who} x`, grads.x, x.rows, x.width);
      const dDtRaw = optionalRows(`${who} dtRaw`, grads.dtRaw, x.rows, x.width);
      const dB = optionalRows(`${who} B`, grads.B, x.rows, B.width);
      const dC = optionalRows(`${who} C`, grads.C, x.rows, B.width);
      const dBias = optionalRows(`${who} dtBias`, grads.dtBias, 1, x.width);
      const dD = optionalRows(`${who} D`, grads.D, 1, x.width);
      const dALog = optionalRows(`${who} ALog`, grads.ALog, x.width, dState);
      // states, decays, dB, dC and dh of four channels, and Δ and dΔ
      const blocks = Math.ceil(perGroup / LANES);
      const perThread = 4 * LANES * (dState * (4 * CHUNK + 1 + blocks) + 2 * CHUNK);
      const ofParts = 4 * batch * x.stride;
      const [rateParts, biasParts, skipParts, scratch] = workspace.pieces(
        ...[batch * packed, dBias ? ofParts : 0, dD ? ofParts : 0, memory.threads * perThread],
      );
      const parts = [dBias ? biasParts : 0, dD ? skipParts : 0, x.stride, rateParts];
      memory.run(
        ...([abi.SCAN_GRADIENT, ...parameters(rates), states, ...at(dy), ...at(dx)] as const),
        ...[...at(dDtRaw), ...at(dB), ...at(dC), ...parts, scratch, perThread],
      );
      const counts = [x.stride, batch, x.width, 1];
      if (dBias) memory.run(abi.ADD_UP, biasParts, ...counts, dBias.address);
      if (dD) memory.run(abi.ADD_UP, skipParts, ...counts, dD.address);
      if (dALog) {
        const groups = [batch, nGroups, perGroup, dState];
        memory.run(abi.SCAN_RATES_GRADIENT, rateParts, rates, ...groups, ...at(dALog));
      }
    },
  };
}

/** A scan's inputs, once their shapes fit, its sizes, and what its kernels begin with. */
function readScan(input: SelectiveScanIn) {
  const { nGroups, seqlen } = input;
  const who = 'selectiveScan';
  const x = own(input.x);
  const dState = own(input.ALog).width;
  const batch = expectDivides(who, { seqlen }, { rows: x.rows });
  const perGroup = expectDivides(who, { nGroups }, { dInner: x.width });
  const dtRaw = rowsOf(`${who}: dtRaw`, input.dtRaw, x.rows, x.width);
  const dtBias = optionalRows(`${who}: dtBias`, input.dtBias, 1, x.width);
  const ALog = rowsOf(`${who}: ALog`, input.ALog, x.width, dState);
  const B = rowsOf(`${who}: B`, input.B, x.rows, nGroups * dState);
  const C = rowsOf(`${who}: C`, input.C, x.rows, nGroups * dState);
  const D = optionalRows(`${who}: D`, input.D, 1, x.width);
  const steps = [...at(dtRaw), dtBias?.address ?? 0];
  const counts = [nGroups, perGroup, dState, batch, seqlen, CHUNK];
  return {
    ...{ x, B, ALog },
    sizes: { nGroups, perGroup, dState, batch, seqlen },
    /** Bytes of the states of a sequence. */
    packed: 4 * LANES * nGroups * Math.ceil(perGroup / LANES) * dState,
    parameters: (rates: number) => [
      ...[...at(x), ...steps, rates, ...at(B), ...at(C), D?.address ?? 0, ...counts],
    ],
  };
}
