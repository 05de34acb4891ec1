/**
 * The mixers of "The Mamba in the Llama": attention's value, key and query projections become the x, B
 * and C of a recurrence, so that a trained Transformer layer can be turned into a Mamba layer.
 */

import { causalConv1d } from './causalConv1d.ts';
import { convChannels, type MambaInLlama2Config, type MambaInLlamaConfig } from './config.ts';
import { linear } from './linear.ts';
import { readSsd, type SsdWeights, ssdShapes } from './mamba2Mixer.ts';
import { traceSelectiveScan } from './mambaMixer.ts';
import { convWindow, decayRates, type MixerInput, type ShapesOf } from './mixer.ts';
import { selectiveScan } from './selectiveScan.ts';
import { joinColumns, reshape, splitColumns, type Tensor, zeros } from './tensor.ts';

export interface MambaInLlamaWeights {
  /** Rows [z | x | B | C | dt]: x from the teacher's values, B from its keys, C from its queries. */
  inProj: Tensor;
  inProjBias?: Tensor;
  /** Shape (dInner, dConv), or (dXb, dConv) when x is repeated after the convolution. */
  convWeight: Tensor;
  convBias?: Tensor;
  /** Shape (dInner, dtRank). */
  dtProj: Tensor;
  /** Shape (dInner). */
  dtBias: Tensor;
  /** A = −exp(ALog). Shape (dInner, dState). */
  ALog: Tensor;
  /** Shape (dInner). */
  D: Tensor;
  /** From the teacher's output projection. Shape (dModel, dInner). */
  outProj: Tensor;
  /** Shape (dModel). */
  outProjBias?: Tensor;
}

export function mambaInLlamaShapes(
  config: MambaInLlamaConfig,
  dModel: number,
): ShapesOf<MambaInLlamaWeights> {
  const { dInner, dXb, dState, dConv, dtRank, hasXBias, hasZBias, hasOutBias, hasConvBias } =
    config;
  const dInProj = 2 * dInner + 2 * dXb + dtRank;
  const channels = convChannels(config);
  return {
    inProj: [dInProj, dModel],
    inProjBias: hasXBias || hasZBias ? [dInProj] : undefined,
    convWeight: [channels, dConv],
    convBias: hasConvBias ? [channels] : undefined,
    dtProj: [dInner, dtRank],
    dtBias: [dInner],
    ALog: [dInner, dState],
    D: [dInner],
    outProj: [dModel, dInner],
    outProjBias: hasOutBias ? [dModel] : undefined,
  };
}

/**
 *   [z | x | B | C | δ] = W_in·u,  x = silu(conv(repeat(x))),  Δ = softplus(W_Δ·δ + 2·dtBias)
 *   y = W_out·(scan(x; Δ, A, repeat(B), C, D) ⊙ silu(z))
 *
 * x and B come in dXb/dState groups of dState channels and are repeated to dInner/dState groups, each group
 * next to its copies, as grouped-query attention shares keys; a group is dState wide, not a head of the
 * teacher. B and C see neither convolution nor activation (Wang et al. 2024, arXiv 2408.15237, algorithm 1,
 * and its code, which takes Δ from the layer's input and adds dtBias twice). Returns shape (seqlen, dModel).
 */
export function mambaInLlamaMixer(
  input: MixerInput<MambaInLlamaWeights, MambaInLlamaConfig>,
): Tensor {
  const { u, weights, config, state, trace } = input;
  const seqlen = u.shape[0];
  const { dInner, dXb, dState, dtRank, repeatsBeforeConv } = config;
  const repeats = dInner / dXb;

  const projected = linear({ x: u, weight: weights.inProj, bias: weights.inProjBias }).y;
  const [z, xNarrow, B, C, dtLow] = splitColumns(projected, [dInner, dXb, dXb, dInner, dtRank]);
  const xIn = repeatsBeforeConv ? repeatGroups(xNarrow, dState, repeats) : xNarrow;
  const conv = causalConv1d({
    x: reshape(xIn, 1, seqlen, convChannels(config)),
    weight: weights.convWeight,
    bias: weights.convBias,
    activation: 'silu',
    convState: state.convState,
  });
  const convolved = reshape(conv.y, seqlen, convChannels(config));
  const x = repeatsBeforeConv ? convolved : repeatGroups(convolved, dState, repeats);
  // the published code adds this bias here and again inside the scan, and its models are trained that way
  const dtRaw = linear({ x: dtLow, weight: weights.dtProj, bias: weights.dtBias }).y;
  const groups = [1, seqlen, dInner / dState, dState] as const;
  const scanInput = {
    x: reshape(x, 1, seqlen, dInner),
    dtRaw: reshape(dtRaw, 1, seqlen, dInner),
    dtBias: weights.dtBias,
    A: decayRates(weights.ALog, u.data),
    B: reshape(repeatGroups(B, dState, repeats), ...groups),
    C: reshape(C, ...groups),
    D: weights.D,
    z: reshape(z, 1, seqlen, dInner),
    h: state.h,
  };
  const scan = selectiveScan(scanInput);
  const read = reshape(scan.y, seqlen, dInner);
  const y = linear({ x: read, weight: weights.outProj, bias: weights.outProjBias }).y;

  if (trace && seqlen === 1) {
    const window = convWindow(state.convState, xIn);
    trace({ mixer: 'mambaInLlama', window, ...traceSelectiveScan(scanInput, scan.h), y });
  }
  state.convState = conv.convState;
  state.h = scan.h;
  return y;
}

export interface MambaInLlama2Weights extends SsdWeights {
  /** Rows [z | x | B | C | dt]: x from the teacher's values, B from its keys, C from its queries. */
  inProj: Tensor;
  inProjBias?: Tensor;
  /** Channels [x | B | C], x and B dXb wide, or dInner wide when they are repeated before the convolution. */
  convWeight: Tensor;
  convBias?: Tensor;
  /** From the teacher's output projection. Shape (dModel, dInner). */
  outProj: Tensor;
  /** Shape (dModel). */
  outProjBias?: Tensor;
}

export function mambaInLlama2Shapes(
  config: MambaInLlama2Config,
  dModel: number,
): ShapesOf<MambaInLlama2Weights> {
  const { nHeads, headDim, dXb, dConv, hasBias, hasConvBias } = config;
  const dInner = nHeads * headDim;
  const dInProj = 2 * dInner + 2 * dXb + nHeads;
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

/**
 *   [z | x | B | C | dt] = W_in·u,  [x | B | C] = silu(conv([x | B | C]))
 *   y = W_out·norm(ssd(repeat(x); dt, A, repeat(B), C, D), z)
 *
 * Heads are dState wide, one group each, so here the repeat does equal the teacher's grouped-query sharing
 * when dState is its head width. Returns shape (seqlen, dModel).
 */
export function mambaInLlama2Mixer(
  input: MixerInput<MambaInLlama2Weights, MambaInLlama2Config>,
): Tensor {
  const { u, weights, config, state, trace } = input;
  const seqlen = u.shape[0];
  const { nHeads, headDim, dXb, dState, repeatsBeforeConv } = config;
  const dInner = nHeads * headDim;
  const repeats = dInner / dXb;
  const channels = convChannels(config);

  const projected = linear({ x: u, weight: weights.inProj, bias: weights.inProjBias }).y;
  const [z, xNarrow, BNarrow, CIn, dtRaw] = splitColumns(projected, [
    dInner,
    dXb,
    dXb,
    dInner,
    nHeads,
  ]);
  const widen = (t: Tensor, now: boolean) => (now ? repeatGroups(t, dState, repeats) : t);
  const xBC = joinColumns([
    widen(xNarrow, repeatsBeforeConv),
    widen(BNarrow, repeatsBeforeConv),
    CIn,
  ]);
  const conv = causalConv1d({
    x: reshape(xBC, 1, seqlen, channels),
    weight: weights.convWeight,
    bias: weights.convBias,
    activation: 'silu',
    convState: state.convState,
  });
  const convolved = reshape(conv.y, seqlen, channels);
  const widths = repeatsBeforeConv ? [dInner, dInner, dInner] : [dXb, dXb, dInner];
  const [xConv, BConv, C] = splitColumns(convolved, widths);
  const x = widen(xConv, !repeatsBeforeConv);
  const B = widen(BConv, !repeatsBeforeConv);
  const nGroups = nHeads;
  const { read, details } = readSsd({ x, z, dtRaw, B, C, nGroups, weights, config, state });
  const y = linear({ x: read, weight: weights.outProj, bias: weights.outProjBias }).y;

  if (trace && seqlen === 1) {
    trace({ mixer: 'mambaInLlama2', window: convWindow(state.convState, xBC), ...details(), y });
  }
  state.convState = conv.convState;
  return y;
}

/** Repeats every group of `width` columns `times` times, copies next to each other: a b → a a b b. */
export function repeatGroups(t: Tensor, width: number, times: number): Tensor {
  const [rows, columns] = t.shape;
  const data = zeros(rows * columns * times, t.data);
  for (let group = 0; group < (rows * columns) / width; group++) {
    const source = t.data.subarray(group * width, (group + 1) * width);
    for (let copy = 0; copy < times; copy++) data.set(source, (group * times + copy) * width);
  }
  return { data, shape: [rows, columns * times] };
}
