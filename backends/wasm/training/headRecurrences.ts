/** The recurrences over heads of training in WASM, Mamba-2's and the discrete one, with their gradients. */

import type { DiscreteSsdIn, Numbers, SsdIn, TrainingOps, Wanted } from '../../training.ts';
import * as abi from './abiRecurrences.ts';
import { CHUNK, expectDivides } from './chunks.ts';
import { own, type TrainingMemory } from './device.ts';
import { at, optionalRows, rowsOf } from './shapes.ts';
import type { Workspace } from './workspace.ts';

/** Mamba-2's input; without ALog the decay is σ(−dtRaw), and nothing is multiplied by Δ. */
type HeadsIn = Omit<SsdIn, 'ALog'> & { ALog?: Numbers };
type HeadsGradients = Wanted<HeadsIn, 'x' | 'dtRaw' | 'dtBias' | 'ALog' | 'B' | 'C' | 'D'>;

/** Addresses of what the gradient needs besides the input. */
interface Kept {
  /** Δ and decay of each head and token, of dtRaw's stride. */
  readonly scale: number;
  readonly decay: number;
  /** States before each chunk, packed. */
  readonly states: number;
}

/** Channels that are brought forward together. */
const PAIR = 8;

export function ssd(memory: TrainingMemory, workspace: Workspace): TrainingOps['ssd'] {
  return {
    forward: (input) => headsForward(memory, 'ssd', input),
    backward(input, { kept }, dy, grads) {
      headsBackward(memory, workspace, 'ssd', input, kept as Kept, dy, grads);
    },
  };
}

export function discreteSsd(
  memory: TrainingMemory,
  workspace: Workspace,
): TrainingOps['discreteSsd'] {
  const asHeads = ({ a, ...input }: DiscreteSsdIn): HeadsIn => ({ ...input, dtRaw: a });
  return {
    forward: (input) => headsForward(memory, 'discreteSsd', asHeads(input)),
    backward(input, { kept }, dy, { a, ...grads }) {
      const all = { ...grads, dtRaw: a };
      headsBackward(memory, workspace, 'discreteSsd', asHeads(input), kept as Kept, dy, all);
    },
  };
}

function headsForward(memory: TrainingMemory, who: string, input: HeadsIn) {
  const { x, dtRaw, raw, sizes, parameters } = readHeads(who, input);
  const { chunks, batch, packed } = sizes;
  const scale = input.ALog ? memory.scratch(dtRaw.bytes) : 0;
  const decay = memory.scratch(dtRaw.bytes);
  const states = memory.scratch(batch * chunks * packed);
  const y = memory.output(x.shape);
  memory.run(abi.HEAD_DECAYS, ...raw, x.rows, scale, decay);
  memory.run(abi.HEADS_OF_SEQUENCES, ...parameters(scale, decay), states, ...at(y));
  return { y, kept: { scale, decay, states } satisfies Kept };
}

function headsBackward(
  memory: TrainingMemory,
  workspace: Workspace,
  who: string,
  input: HeadsIn,
  { scale, decay, states }: Kept,
  dyNumbers: Numbers,
  grads: HeadsGradients,
): void {
  const { x, dtRaw, B, raw, sizes, parameters } = readHeads(who, input);
  const { nHeads, perGroup, headDim, dState, batch, seqlen, pairs } = sizes;
  const of = `${who}: gradient of`;
  const dy = rowsOf(`${of} y`, dyNumbers, x.rows, x.width);
  const dx = optionalRows(`${of} x`, grads.x, x.rows, x.width);
  const dRaw = optionalRows(`${of} ${input.ALog ? 'dtRaw' : 'a'}`, grads.dtRaw, x.rows, nHeads);
  const dB = optionalRows(`${of} B`, grads.B, x.rows, B.width);
  const dC = optionalRows(`${of} C`, grads.C, x.rows, B.width);
  const dBias = optionalRows(`${of} dtBias`, grads.dtBias, 1, nHeads);
  const dALog = optionalRows(`${of} ALog`, grads.ALog, 1, nHeads);
  const dD = optionalRows(`${of} D`, grads.D, 1, nHeads);

  // states, dB, dC and dh of a pair of blocks of four channels, and two sums of each token
  const perThread = 16 * (dState * (4 * CHUNK + 2 + 2 * perGroup * pairs) + 2 * CHUNK);
  const ofHeads = 4 * batch * dtRaw.stride;
  const [dLog, dScale, biasParts, rateParts, skipParts, scratch] = workspace.pieces(
    ...[dtRaw.bytes, scale ? dtRaw.bytes : 0, ofHeads, ofHeads],
    ...[dD ? 4 * batch * x.stride : 0, memory.threads * perThread],
  );
  const skip = [dD ? skipParts : 0, x.stride];
  const ofSteps = [scale ? dScale : 0, dLog];
  memory.run(
    ...([abi.HEADS_GRADIENT, ...parameters(scale, decay), states, ...at(dy), ...at(dx)] as const),
    ...[...at(dB), ...at(dC), ...skip, ...ofSteps, scratch, perThread],
  );
  if (dRaw || dBias || dALog) {
    const parts = [dBias ? biasParts : 0, dALog ? rateParts : 0];
    memory.run(
      ...([abi.HEAD_DECAYS_GRADIENT, ...raw, batch, seqlen, scale, ...ofSteps] as const),
      ...[...at(dRaw), ...parts],
    );
  }
  const counts = [dtRaw.stride, batch, nHeads, 1];
  if (dBias) memory.run(abi.ADD_UP, biasParts, ...counts, dBias.address);
  if (dALog) memory.run(abi.ADD_UP, rateParts, ...counts, dALog.address);
  if (dD) memory.run(abi.ADD_UP, skipParts, x.stride, batch, nHeads, headDim, dD.address);
}

/** The inputs of a recurrence over heads, once their shapes fit, its sizes, and what its kernels begin with. */
function readHeads(who: string, input: HeadsIn) {
  const { nHeads, nGroups, seqlen } = input;
  const x = own(input.x);
  const batch = expectDivides(who, { seqlen }, { rows: x.rows });
  const headDim = expectDivides(who, { nHeads }, { columns: x.width });
  const perGroup = expectDivides(who, { nGroups }, { nHeads });
  const dState = expectDivides(who, { nGroups }, { 'columns of B': own(input.B).width });
  const dtRaw = rowsOf(`${who}: ${input.ALog ? 'dtRaw' : 'a'}`, input.dtRaw, x.rows, nHeads);
  const dtBias = optionalRows(`${who}: dtBias`, input.dtBias, 1, nHeads);
  const ALog = optionalRows(`${who}: ALog`, input.ALog, 1, nHeads);
  const B = rowsOf(`${who}: B`, input.B, x.rows, nGroups * dState);
  const C = rowsOf(`${who}: C`, input.C, x.rows, nGroups * dState);
  const D = optionalRows(`${who}: D`, input.D, 1, nHeads);
  const pairs = Math.ceil(headDim / PAIR);
  const counts = [nHeads, headDim, nGroups, dState, batch, seqlen, CHUNK];
  return {
    ...{ x, dtRaw, B },
    raw: [...at(dtRaw), dtBias?.address ?? 0, ALog?.address ?? 0, nHeads],
    sizes: {
      ...{ nHeads, perGroup, headDim, dState, batch, seqlen, pairs },
      chunks: Math.ceil(seqlen / CHUNK),
      /** Bytes of the states of a sequence. */
      packed: 4 * PAIR * nHeads * pairs * dState,
    },
    parameters: (scale: number, decay: number) => [
      ...[...at(x), scale, decay, dtRaw.stride, ...at(B), ...at(C)],
      ...[D?.address ?? 0, ...counts],
    ],
  };
}
