/** The Mamba-2 mixer: one projection makes everything, one decay per head, a gated norm at the end. */

import { mapElements, silu } from './activations.ts';
import { causalConv1d } from './causalConv1d.ts';
import { convChannels, type Mamba2Config, type SsdConfig } from './config.ts';
import { exp } from './elementary.ts';
import { gatedRmsNorm } from './gatedRmsNorm.ts';
import { linear } from './linear.ts';
import { convWindow, decayRates, type MixerInput, type ShapesOf } from './mixer.ts';
import { stepSize } from './selectiveScanStep.ts';
import { type SsdInput, ssd } from './ssd.ts';
import type { LayerState } from './state.ts';
import { gateProduct } from './swigluMlp.ts';
import {
  copyAs,
  joinColumns,
  reshape,
  rounding,
  splitColumns,
  type Tensor,
  zeros,
  zerosLike,
} from './tensor.ts';
import type { SsmTrace } from './trace.ts';

/** Weights of the recurrence and of what follows it, shared with MambaInLlama's Mamba-2. */
export interface SsdWeights {
  /** Shape (nHeads). */
  dtBias: Tensor;
  /** A = −exp(ALog). Shape (nHeads). */
  ALog: Tensor;
  /** Shape (nHeads), or (nHeads·headDim) with one per channel. */
  D: Tensor;
  /** Shape (nHeads·headDim). */
  normWeight?: Tensor;
}

export interface Mamba2Weights extends SsdWeights {
  /** Rows [bypass gate | bypass value | z | x | B | C | dt], the bypass rows only where dInner > nHeads·headDim. */
  inProj: Tensor;
  inProjBias?: Tensor;
  /** Channels [x | B | C]. Shape (nHeads·headDim + 2·nGroups·dState, dConv). */
  convWeight: Tensor;
  convBias?: Tensor;
  /** Columns [bypass | y]. Shape (dModel, dInner). */
  outProj: Tensor;
  /** Shape (dModel). */
  outProjBias?: Tensor;
}

export function ssdShapes(config: SsdConfig): ShapesOf<SsdWeights> {
  const { nHeads, headDim, gatedNorm, hasDPerChannel } = config;
  return {
    dtBias: [nHeads],
    ALog: [nHeads],
    D: [hasDPerChannel ? nHeads * headDim : nHeads],
    normWeight: gatedNorm ? [nHeads * headDim] : undefined,
  };
}

export function mamba2Shapes(config: Mamba2Config, dModel: number): ShapesOf<Mamba2Weights> {
  const { dInner, nHeads, nGroups, dState, dConv, hasBias, hasConvBias } = config;
  const dInProj = 2 * dInner + 2 * nGroups * dState + nHeads;
  const channels = convChannels(config);
  return {
    ...ssdShapes(config),
    inProj: [dInProj, dModel],
    inProjBias: hasBias ? [dInProj] : undefined,
    convWeight: [channels, dConv],
    convBias: hasConvBias ? [channels] : undefined,
    outProj: [dModel, dInner],
    outProjBias: hasBias ? [dModel] : undefined,
  };
}

/** Projects u and runs {@link mamba2Inner}. Returns shape (seqlen, dModel). */
export function mamba2Mixer(input: MixerInput<Mamba2Weights, Mamba2Config>): Tensor {
  const { u, weights } = input;
  const projected = linear({ x: u, weight: weights.inProj, bias: weights.inProjBias }).y;
  return mamba2Inner({ ...input, u: projected });
}

/**
 * Mamba-2 from its projected input u = [g₀ | v₀ | z | x | B | C | dt] on (Dao & Gu 2024, figure 6):
 *
 *   [x | B | C] = silu(conv([x | B | C]))
 *   y = W_out·[silu(g₀)·v₀ | norm(ssd(x; dt, A, B, C, D), z)]
 */
export function mamba2Inner(input: MixerInput<Mamba2Weights, Mamba2Config>): Tensor {
  const { u, weights, config, state, trace } = input;
  const seqlen = u.shape[0];
  const { dInner, nHeads, headDim, nGroups, dState } = config;
  const dSsm = nHeads * headDim;
  const dBypass = dInner - dSsm;

  const [bypassGate, bypassValue, z, xBC, dtRaw] = splitColumns(u, [
    dBypass,
    dBypass,
    dSsm,
    convChannels(config),
    nHeads,
  ]);
  const conv = causalConv1d({
    x: reshape(xBC, 1, seqlen, convChannels(config)),
    weight: weights.convWeight,
    bias: weights.convBias,
    activation: 'silu',
    convState: state.convState,
  });
  const convolved = reshape(conv.y, seqlen, convChannels(config));
  const [x, B, C] = splitColumns(convolved, [dSsm, nGroups * dState, nGroups * dState]);
  const { read, details } = readSsd({ x, z, dtRaw, B, C, nGroups, weights, config, state });
  const joined = dBypass > 0 ? joinColumns([gateProduct(bypassValue, bypassGate), read]) : read;
  const y = linear({ x: joined, weight: weights.outProj, bias: weights.outProjBias }).y;

  if (trace && seqlen === 1) {
    trace({ mixer: 'mamba2', window: convWindow(state.convState, xBC), ...details(), y });
  }
  state.convState = conv.convState;
  return y;
}

interface ReadSsdInput {
  /** Shape (seqlen, nHeads·headDim), and z likewise. */
  x: Tensor;
  z: Tensor;
  /** Shape (seqlen, nHeads). */
  dtRaw: Tensor;
  /** Shape (seqlen, nGroups·dState), and C likewise. */
  B: Tensor;
  C: Tensor;
  nGroups: number;
  weights: SsdWeights;
  config: SsdConfig;
  /** Its h is updated in place. */
  state: LayerState;
}

/**
 * The recurrence, then gate and norm: with a gated norm the gate belongs to the norm, else to the
 * recurrence. Returns shape (seqlen, nHeads·headDim) and the details of a single token for the trace.
 */
export function readSsd(input: ReadSsdInput): {
  read: Tensor;
  details: () => Omit<SsmTrace, 'mixer' | 'window' | 'y'>;
} {
  const { x, z, dtRaw, B, C, nGroups, weights, config, state } = input;
  const { nHeads, headDim, dState, dtLimit, gatedNorm } = config;
  const seqlen = x.shape[0];
  const heads = [1, seqlen, nHeads, headDim] as const;
  const ssdInput: SsdInput = {
    x: reshape(x, ...heads),
    dtRaw: reshape(dtRaw, 1, seqlen, nHeads),
    dtBias: weights.dtBias,
    dtLimit,
    A: decayRates(weights.ALog, x.data),
    B: reshape(B, 1, seqlen, nGroups, dState),
    C: reshape(C, 1, seqlen, nGroups, dState),
    D: reshape(weights.D, nHeads, weights.D.data.length / nHeads),
    z: gatedNorm ? undefined : reshape(z, ...heads),
    h: state.h,
  };
  const { y, h } = ssd(ssdInput);
  const flat = reshape(y, seqlen, nHeads * headDim);
  const read =
    gatedNorm && weights.normWeight
      ? gatedRmsNorm({ x: flat, z, weight: weights.normWeight, ...gatedNorm }).y
      : flat;
  const hBefore = state.h ?? zerosLike(h);
  state.h = h;
  return { read, details: () => traceSsd(ssdInput, z, hBefore, h) };
}

function traceSsd(
  input: SsdInput,
  z: Tensor,
  hBefore: Tensor,
  hAfter: Tensor,
): Omit<SsmTrace, 'mixer' | 'window' | 'y'> {
  const fl = rounding(input.x.data);
  const [, , nHeads, headDim] = input.x.shape;
  const [, , nGroups, dState] = input.B.shape;
  const dt = zeros(nHeads, input.x.data);
  const decay = zeros(nHeads, input.x.data);
  for (let i = 0; i < nHeads; i++) {
    dt[i] = stepSize(input.dtRaw.data[i], input.dtBias?.data[i], true, fl, input.dtLimit);
    decay[i] = fl(exp(fl(dt[i] * input.A.data[i])));
  }
  const copy = (t: Tensor, ...shape: number[]) => ({ data: copyAs(t.data, t.data), shape });
  return {
    kind: 'ssm',
    dt: { data: dt, shape: [nHeads] },
    decay: { data: decay, shape: [nHeads, 1] },
    x: copy(input.x, nHeads, headDim),
    B: copy(input.B, nGroups, dState),
    C: copy(input.C, nGroups, dState),
    hBefore: copy(hBefore, nHeads, headDim, dState),
    hAfter: copy(hAfter, nHeads, headDim, dState),
    gate: { data: mapElements(z.data, silu), shape: [z.data.length] },
  };
}
