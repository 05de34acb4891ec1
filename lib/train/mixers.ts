/** The mixers on a tape: the wiring of reference/*Mixer.ts, for whole sequences that begin from nothing. */

import type {
  AttentionConfig,
  DiscreteMamba2Config,
  Mamba2Config,
  MambaConfig,
  MambaInLlama2Config,
  MambaInLlamaConfig,
  MixerConfig,
  SsdConfig,
} from '../../reference/config.ts';
import { convChannels } from '../../reference/config.ts';
import { UnsupportedError } from '../../reference/errors.ts';
import { ropeFrequencies } from '../../reference/rope.ts';
import type { Tape, Variable } from './tape.ts';

/** Weights of one mixer by their names in reference/. */
export type WeightOf = (name: string) => Variable;
/** A weight that a config may leave out. */
export type MaybeWeightOf = (name: string) => Variable | undefined;

export interface MixerCall {
  tape: Tape;
  /** (batch·seqlen, dModel), normed. */
  u: Variable;
  weight: WeightOf;
  maybe: MaybeWeightOf;
  seqlen: number;
  /** Sees what a recurrence or an attention works on: MOHAWK's first stage compares it. */
  onInside?: (inside: Inside) => void;
}

/** What a mixer's mixing of tokens is made from. */
export type Inside =
  | {
      kind: 'discrete';
      a: Variable;
      B: Variable;
      C: Variable;
      D: Variable;
      nHeads: number;
      nGroups: number;
    }
  | {
      kind: 'attention';
      q: Variable;
      k: Variable;
      nHeads: number;
      nKvHeads: number;
      scale: number;
    };

/** y of a mixer, (batch·seqlen, dModel). @throws UnsupportedError for a variant whose gradient nobody has written. */
export function mixerOnTape(call: MixerCall, config: MixerConfig): Variable {
  switch (config.kind) {
    case 'attention':
      return attention(call, config);
    case 'discreteMamba2':
      return discreteMamba2(call, config);
    case 'mambaInLlama':
      return mambaInLlama(call, config);
    case 'mambaInLlama2':
      return mambaInLlama2(call, config);
    case 'mamba':
      return mamba(call, config);
    case 'mamba2':
      return mamba2(call, config);
  }
}

/** Cuts the columns of x into blocks of these widths. */
function split(tape: Tape, x: Variable, widths: readonly number[]): Variable[] {
  let from = 0;
  return widths.map((width) => {
    const part = tape.apply('columns', { x, from, width });
    from += width;
    return part;
  });
}

function projected({ tape, u, weight, maybe }: MixerCall): Variable {
  return tape.apply('linear', { x: u, weight: weight('inProj'), bias: maybe('inProjBias') });
}

function out({ tape, weight, maybe }: MixerCall, x: Variable): Variable {
  return tape.apply('linear', { x, weight: weight('outProj'), bias: maybe('outProjBias') });
}

function conv(
  { tape, weight, maybe, seqlen }: MixerCall,
  x: Variable,
  activation: 'silu' | 'identity',
): Variable {
  const input = { x, weight: weight('convWeight'), bias: maybe('convBias') };
  return tape.apply('causalConv1d', { ...input, activation, seqlen });
}

function attention(call: MixerCall, config: AttentionConfig): Variable {
  const { tape, seqlen } = call;
  const { nHeads, nKvHeads, headDim } = config;
  if (config.dConv || config.dParallelMlp) {
    throw new UnsupportedError(
      'train: expected attention without convolution and parallel MLP; freeze or replace those layers',
    );
  }
  const [qWidth, kvWidth] = [nHeads * headDim, nKvHeads * headDim];
  const [q, k, v] = split(tape, projected(call), [qWidth, kvWidth, kvWidth]);
  const { rope } = config;
  const frequencies = rope && ropeFrequencies(rope);
  const rotated = (x: Variable) =>
    rope && frequencies
      ? tape.apply('rope', { x, headDim, frequencies, pairing: rope.pairing, seqlen })
      : x;
  const scale = config.scale ?? 1 / Math.sqrt(headDim);
  const inside = { q: rotated(q), k: rotated(k), nHeads, nKvHeads, scale };
  call.onInside?.({ kind: 'attention', ...inside });
  return out(call, tape.apply('attention', { ...inside, v, seqlen }));
}

function discreteMamba2(call: MixerCall, config: DiscreteMamba2Config): Variable {
  const { tape, weight, maybe, seqlen } = call;
  const { nHeads, headDim, nGroups, dState, activation } = config;
  if (activation !== 'silu' && activation !== 'identity') {
    throw new UnsupportedError(`train: expected activation silu or identity, got ${activation}`);
  }
  const dInner = nHeads * headDim;
  const [xBC, z, a] = split(tape, projected(call), [convChannels(config), dInner, nHeads]);
  const widths = [dInner, nGroups * dState, nGroups * dState];
  const [x, B, C] = split(tape, conv(call, xBC, activation), widths);
  const inside = { a, B, C, D: weight('D'), nHeads, nGroups };
  call.onInside?.({ kind: 'discrete', ...inside });
  const read = tape.apply('discreteSsd', { x, ...inside, seqlen });
  return out(call, tape.apply('gate', { x: read, z, zBias: maybe('zBias') }));
}

function mambaInLlama(call: MixerCall, config: MambaInLlamaConfig): Variable {
  const { tape, weight, seqlen } = call;
  const { dInner, dXb, dState, dtRank, repeatsBeforeConv } = config;
  const times = dInner / dXb;
  const repeat = (x: Variable) => tape.apply('repeatGroups', { x, width: dState, times });
  const [z, xNarrow, B, C, dtLow] = split(tape, projected(call), [
    dInner,
    dXb,
    dXb,
    dInner,
    dtRank,
  ]);
  const x = repeatsBeforeConv
    ? conv(call, repeat(xNarrow), 'silu')
    : repeat(conv(call, xNarrow, 'silu'));
  const dtBias = weight('dtBias');
  // as published, the bias is added here and again inside the scan
  const dtRaw = tape.apply('linear', { x: dtLow, weight: weight('dtProj'), bias: dtBias });
  const read = tape.apply('selectiveScan', {
    ...{ x, dtRaw, dtBias, ALog: weight('ALog'), B: repeat(B), C, D: weight('D') },
    nGroups: dInner / dState,
    seqlen,
  });
  return out(call, tape.apply('gate', { x: read, z }));
}

function mamba(call: MixerCall, { dInner, dState, dtRank }: MambaConfig): Variable {
  const { tape, weight, seqlen } = call;
  const [xIn, z] = split(tape, projected(call), [dInner, dInner]);
  const x = conv(call, xIn, 'silu');
  const low = tape.apply('linear', { x, weight: weight('xProj') });
  const [dtLow, B, C] = split(tape, low, [dtRank, dState, dState]);
  const read = tape.apply('selectiveScan', {
    ...{ x, dtRaw: tape.apply('linear', { x: dtLow, weight: weight('dtProj') }) },
    ...{ dtBias: weight('dtBias'), ALog: weight('ALog'), B, C, D: weight('D') },
    nGroups: 1,
    seqlen,
  });
  return out(call, tape.apply('gate', { x: read, z }));
}

function mamba2(call: MixerCall, config: Mamba2Config): Variable {
  const { tape } = call;
  const { nHeads, headDim, nGroups, dState } = config;
  const dSsm = nHeads * headDim;
  if (config.dInner !== dSsm) {
    throw new UnsupportedError('train: expected a Mamba-2 mixer without bypass channels');
  }
  const [z, xBC, dtRaw] = split(tape, projected(call), [dSsm, convChannels(config), nHeads]);
  const widths = [dSsm, nGroups * dState, nGroups * dState];
  const [x, B, C] = split(tape, conv(call, xBC, 'silu'), widths);
  return out(call, readSsd(call, config, { x, z, dtRaw, B, C, nGroups }));
}

function mambaInLlama2(call: MixerCall, config: MambaInLlama2Config): Variable {
  const { tape } = call;
  const { nHeads, headDim, dXb, dState, repeatsBeforeConv } = config;
  const dInner = nHeads * headDim;
  if (repeatsBeforeConv) {
    throw new UnsupportedError(
      'train: expected a mixer that repeats x and B after its convolution',
    );
  }
  const repeat = (x: Variable) =>
    tape.apply('repeatGroups', { x, width: dState, times: dInner / dXb });
  const [z, xBC, dtRaw] = split(tape, projected(call), [dInner, dInner + 2 * dXb, nHeads]);
  const [xNarrow, BNarrow, C] = split(tape, conv(call, xBC, 'silu'), [dXb, dXb, dInner]);
  const parts = { x: repeat(xNarrow), z, dtRaw, B: repeat(BNarrow), C, nGroups: nHeads };
  return out(call, readSsd(call, config, parts));
}

function readSsd(
  { tape, weight, seqlen }: MixerCall,
  { nHeads, gatedNorm, hasDPerChannel, dtLimit }: SsdConfig,
  { z, ...parts }: Record<'x' | 'z' | 'dtRaw' | 'B' | 'C', Variable> & { nGroups: number },
): Variable {
  if (hasDPerChannel || dtLimit) {
    throw new UnsupportedError('train: expected a Mamba-2 mixer with one D a head and no dtLimit');
  }
  const own = { dtBias: weight('dtBias'), ALog: weight('ALog'), D: weight('D') };
  const read = tape.apply('ssd', { ...parts, ...own, nHeads, seqlen });
  if (!gatedNorm) return tape.apply('gate', { x: read, z });
  return tape.apply('gatedRmsNorm', { x: read, z, weight: weight('normWeight'), ...gatedNorm });
}
