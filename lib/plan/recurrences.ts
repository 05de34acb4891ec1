/** The wiring of the mixers that carry a recurrence, from their normalised input to their output columns. */

import type { Columns } from '../../backends/plan.ts';
import type { Activation } from '../../reference/activations.ts';
import {
  convChannels,
  type DiscreteMamba2Config,
  type Mamba2Config,
  type MambaConfig,
  type MambaInLlama2Config,
  type MambaInLlamaConfig,
  type MixerConfig,
  type SsdConfig,
} from '../../reference/config.ts';
import { split, type Wiring } from './wiring.ts';

/** Makes a mixer's output from its projection; out_proj follows. */
export type MixerWiring<Config> = (w: Wiring, u: Columns, config: Config) => Columns;

function project(w: Wiring, u: Columns, width: number, hasBias: boolean): Columns {
  const bias = w.optionalWeight('bias', 'mixer.inProjBias', hasBias);
  const weights = { weight: w.weight('mixer.inProj'), ...bias };
  return w.add('projected', { op: 'linear', inputs: { x: u }, weights, width });
}

/** The convolution of a mixer and its slot of the state. */
export function convolve(
  w: Wiring,
  x: Columns,
  mixer: MixerConfig & { readonly dConv?: number },
  activation: Activation,
  hasBias: boolean,
): Columns {
  const dConv = mixer.dConv ?? 1;
  return w.add('convolved', {
    op: w.sequenceOp('causalConv1d'),
    inputs: { x },
    weights: {
      weight: w.weight('mixer.convWeight'),
      ...w.optionalWeight('bias', 'mixer.convBias', hasBias),
    },
    attributes: {
      activation,
      dConv,
      convState: w.slot('convState', convChannels(mixer), dConv - 1),
    },
    width: x.width,
  });
}

/** Mamba: [x | z] = W_in·u; x convolved; [δ | B | C] = W_x·x; Δ from δ. */
export const mamba: MixerWiring<MambaConfig> = (w, u, config) => {
  const { dInner, dState, dtRank, hasBias, hasConvBias } = config;
  const [xIn, z] = split(project(w, u, 2 * dInner, hasBias), [dInner, dInner]);
  const x = convolve(w, xIn, config, 'silu', hasConvBias);
  const low = w.add('dtBC', {
    op: 'linear',
    inputs: { x },
    weights: { weight: w.weight('mixer.xProj') },
    width: dtRank + 2 * dState,
  });
  const [dtLow, B, C] = split(low, [dtRank, dState, dState]);
  const dtRaw = w.add('dtRaw', {
    op: 'linear',
    inputs: { x: dtLow },
    weights: { weight: w.weight('mixer.dtProj') },
    width: dInner,
  });
  return scan(w, { x, dtRaw, B, C, z }, 1, config);
};

function scan(
  w: Wiring,
  inputs: { x: Columns; dtRaw: Columns; B: Columns; C: Columns; z: Columns },
  nGroups: number,
  { dInner, dState }: { readonly dInner: number; readonly dState: number },
): Columns {
  return w.add('read', {
    op: w.sequenceOp('selectiveScan'),
    inputs,
    weights: {
      dtBias: w.weight('mixer.dtBias'),
      ALog: w.weight('mixer.ALog'),
      D: w.weight('mixer.D'),
    },
    attributes: { nGroups, dState, h: w.slot('h', dInner, dState) },
    width: dInner,
  });
}

/** Mamba-2: one projection makes everything; some channels may bypass the recurrence through a gate. */
export const mamba2: MixerWiring<Mamba2Config> = (w, u, config) => {
  const { dInner, nHeads, headDim, nGroups, dState, hasBias, hasConvBias } = config;
  const dSsm = nHeads * headDim;
  const dBypass = dInner - dSsm;
  const channels = convChannels(config);
  const widths = [dBypass, dBypass, dSsm, channels, nHeads];
  const projected = project(w, u, 2 * dBypass + dSsm + channels + nHeads, hasBias);
  const [bypassGate, bypassValue, z, xBC, dtRaw] = split(projected, widths);
  const convolved = convolve(w, xBC, config, 'silu', hasConvBias);
  const [x, B, C] = split(convolved, [dSsm, nGroups * dState, nGroups * dState]);
  const read = readSsd(w, { x, dtRaw, B, C, z }, nGroups, config);
  if (dBypass === 0) return read;
  const bypass = w.add('bypass', {
    op: 'gate',
    inputs: { value: bypassValue, gate: bypassGate },
    width: dBypass,
  });
  return w.add('joined', { op: 'joinColumns', inputs: { a: bypass, b: read }, width: dInner });
};

/** The recurrence of Mamba-2, then gate and norm: the gate belongs to the norm where there is one. */
function readSsd(
  w: Wiring,
  { z, ...inputs }: { x: Columns; dtRaw: Columns; B: Columns; C: Columns; z: Columns },
  nGroups: number,
  config: SsdConfig,
): Columns {
  const { nHeads, headDim, dState, dtLimit, gatedNorm } = config;
  const width = nHeads * headDim;
  const read = w.add('read', {
    op: w.sequenceOp('ssd'),
    inputs: { ...inputs, ...(!gatedNorm && { z }) },
    weights: {
      dtBias: w.weight('mixer.dtBias'),
      ALog: w.weight('mixer.ALog'),
      D: w.weight('mixer.D'),
    },
    attributes: {
      ...{ nHeads, headDim, nGroups, dState },
      h: w.slot('h', nHeads, headDim, dState),
      ...(dtLimit && { dtLimit }),
    },
    width,
  });
  if (!gatedNorm) return read;
  return w.add('normed', {
    op: 'gatedRmsNorm',
    inputs: { x: read, z },
    weights: { weight: w.weight('mixer.normWeight') },
    attributes: gatedNorm,
    width,
  });
}

/** Llamba's Discrete Mamba-2. */
export const discreteMamba2: MixerWiring<DiscreteMamba2Config> = (w, u, config) => {
  const { nHeads, headDim, nGroups, dState, activation, hasBias, hasConvBias } = config;
  const dInner = nHeads * headDim;
  const channels = convChannels(config);
  const projected = project(w, u, channels + dInner + nHeads, hasBias);
  const [xBC, z, a] = split(projected, [channels, dInner, nHeads]);
  const convolved = convolve(w, xBC, config, activation, hasConvBias);
  const [x, B, C] = split(convolved, [dInner, nGroups * dState, nGroups * dState]);
  const read = w.add('read', {
    op: w.sequenceOp('discreteSsd'),
    inputs: { x, a, B, C },
    weights: { D: w.weight('mixer.D') },
    attributes: { nHeads, headDim, nGroups, dState, h: w.slot('h', nHeads, headDim, dState) },
    width: dInner,
  });
  return w.add('gated', {
    op: 'gate',
    inputs: { value: read, gate: z },
    weights: w.optionalWeight('gateBias', 'mixer.zBias', !hasBias),
    width: dInner,
  });
};

function repeated(w: Wiring, name: string, x: Columns, width: number, times: number): Columns {
  const attributes = { width, times };
  return w.add(name, { op: 'repeatColumns', inputs: { x }, attributes, width: x.width * times });
}

/** MambaInLlama's Mamba-1: x and B come narrow and are repeated, B and C see no convolution. */
export const mambaInLlama: MixerWiring<MambaInLlamaConfig> = (w, u, config) => {
  const { dInner, dXb, dState, dtRank, repeatsBeforeConv, hasXBias, hasZBias, hasConvBias } =
    config;
  const projected = project(w, u, 2 * dInner + 2 * dXb + dtRank, hasXBias || hasZBias);
  const [z, xNarrow, BNarrow, C, dtLow] = split(projected, [dInner, dXb, dXb, dInner, dtRank]);
  const widen = (name: string, x: Columns) => repeated(w, name, x, dState, dInner / dXb);
  const xIn = repeatsBeforeConv ? widen('xWide', xNarrow) : xNarrow;
  const convolved = convolve(w, xIn, config, 'silu', hasConvBias);
  const x = repeatsBeforeConv ? convolved : widen('xWide', convolved);
  // the published code adds this bias here and again inside the scan: see reference/mambaInLlamaMixer.ts
  const dtRaw = w.add('dtRaw', {
    op: 'linear',
    inputs: { x: dtLow },
    weights: { weight: w.weight('mixer.dtProj'), bias: w.weight('mixer.dtBias') },
    width: dInner,
  });
  const B = widen('BWide', BNarrow);
  return scan(w, { x, dtRaw, B, C, z }, dInner / dState, config);
};

/** MambaInLlama's Mamba-2: as above with everything convolved, one group per head. */
export const mambaInLlama2: MixerWiring<MambaInLlama2Config> = (w, u, config) => {
  const { nHeads, headDim, dXb, dState, repeatsBeforeConv, hasBias, hasConvBias } = config;
  const dInner = nHeads * headDim;
  const channels = convChannels(config);
  const projected = project(w, u, 2 * dInner + 2 * dXb + nHeads, hasBias);
  const [z, xBC, dtRaw] = split(projected, [dInner, 2 * dXb + dInner, nHeads]);
  const widen = (name: string, x: Columns) => repeated(w, name, x, dState, dInner / dXb);
  let convIn = xBC;
  if (repeatsBeforeConv) {
    const [xNarrow, BNarrow, c] = split(xBC, [dXb, dXb, dInner]);
    const inputs = { a: widen('xWide', xNarrow), b: widen('BWide', BNarrow), c };
    convIn = w.add('wide', { op: 'joinColumns', inputs, width: channels });
  }
  const convolved = convolve(w, convIn, config, 'silu', hasConvBias);
  const narrow = repeatsBeforeConv ? dInner : dXb;
  const [xConv, BConv, C] = split(convolved, [narrow, narrow, dInner]);
  const x = repeatsBeforeConv ? xConv : widen('xWide', xConv);
  const B = repeatsBeforeConv ? BConv : widen('BWide', BConv);
  return readSsd(w, { x, dtRaw, B, C, z }, nHeads, config);
};
