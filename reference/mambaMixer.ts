/** The Mamba mixer: convolution, selective scan and gate between two projections. */

import { mapElements, silu } from './activations.ts';
import { causalConv1d } from './causalConv1d.ts';
import type { MambaConfig } from './config.ts';
import { exp } from './elementary.ts';
import { linear } from './linear.ts';
import { convWindow, decayRates, type MixerInput, type ShapesOf } from './mixer.ts';
import { type SelectiveScanInput, selectiveScan } from './selectiveScan.ts';
import { stepSize } from './selectiveScanStep.ts';
import {
  copyAs,
  reshape,
  rounding,
  rowsOf,
  splitColumns,
  type Tensor,
  zeros,
  zerosLike,
} from './tensor.ts';
import type { SsmTrace } from './trace.ts';

export interface MambaWeights {
  /** Rows [x | z]. Shape (2·dInner, dModel). */
  inProj: Tensor;
  /** Shape (2·dInner). */
  inProjBias?: Tensor;
  /** Shape (dInner, dConv). */
  convWeight: Tensor;
  /** Shape (dInner). */
  convBias?: Tensor;
  /** Rows [dt | B | C]. Shape (dtRank + 2·dState, dInner). */
  xProj: Tensor;
  /** Shape (dInner, dtRank). */
  dtProj: Tensor;
  /** Shape (dInner). */
  dtBias: Tensor;
  /** A = −exp(ALog). Shape (dInner, dState). */
  ALog: Tensor;
  /** Shape (dInner). */
  D: Tensor;
  /** Shape (dModel, dInner). */
  outProj: Tensor;
  /** Shape (dModel). */
  outProjBias?: Tensor;
}

export function mambaShapes(config: MambaConfig, dModel: number): ShapesOf<MambaWeights> {
  const { dInner, dState, dConv, dtRank, hasBias, hasConvBias } = config;
  return {
    inProj: [2 * dInner, dModel],
    inProjBias: hasBias ? [2 * dInner] : undefined,
    convWeight: [dInner, dConv],
    convBias: hasConvBias ? [dInner] : undefined,
    xProj: [dtRank + 2 * dState, dInner],
    dtProj: [dInner, dtRank],
    dtBias: [dInner],
    ALog: [dInner, dState],
    D: [dInner],
    outProj: [dModel, dInner],
    outProjBias: hasBias ? [dModel] : undefined,
  };
}

/** Projects u to [x | z] and runs {@link mambaInner}. Returns shape (seqlen, dModel). */
export function mambaMixer(input: MixerInput<MambaWeights, MambaConfig>): Tensor {
  const { u, weights } = input;
  const xz = linear({ x: u, weight: weights.inProj, bias: weights.inProjBias }).y;
  return mambaInner({ ...input, u: xz });
}

/**
 * Mamba from its projected input u = [x | z] on (Gu & Dao 2023, figure 3):
 *
 *   x = silu(conv(x)),  [δ | B | C] = W_x·x,  Δ = softplus(W_Δ·δ + dtBias)
 *   y = W_out·(scan(x; Δ, A, B, C, D) ⊙ silu(z))
 */
export function mambaInner(input: MixerInput<MambaWeights, MambaConfig>): Tensor {
  const { u, weights, config, state, trace } = input;
  const seqlen = u.shape[0];
  const { dInner, dState, dtRank } = config;

  const [xIn, z] = splitColumns(u, [dInner, dInner]);
  const conv = causalConv1d({
    x: reshape(xIn, 1, seqlen, dInner),
    weight: weights.convWeight,
    bias: weights.convBias,
    activation: 'silu',
    convState: state.convState,
  });
  const x = reshape(conv.y, seqlen, dInner);
  const projected = linear({ x, weight: weights.xProj }).y;
  const [dtLow, B, C] = splitColumns(projected, [dtRank, dState, dState]);
  const dtRaw = linear({ x: dtLow, weight: weights.dtProj }).y; // its bias is dtBias, added in the scan
  const scanInput = {
    x: conv.y,
    dtRaw: reshape(dtRaw, 1, seqlen, dInner),
    dtBias: weights.dtBias,
    A: decayRates(weights.ALog, u.data),
    B: reshape(B, 1, seqlen, 1, dState),
    C: reshape(C, 1, seqlen, 1, dState),
    D: weights.D,
    z: reshape(z, 1, seqlen, dInner),
    h: state.h,
  };
  const scan = selectiveScan(scanInput);
  const read = reshape(scan.y, seqlen, dInner);
  const y = linear({ x: read, weight: weights.outProj, bias: weights.outProjBias }).y;

  if (trace && seqlen === 1) {
    trace({
      mixer: 'mamba',
      window: convWindow(state.convState, xIn),
      ...traceSelectiveScan(scanInput, scan.h),
      y,
    });
  }
  state.convState = conv.convState;
  state.h = scan.h;
  return y;
}

/** What a selective scan of one token did, for the trace. */
export function traceSelectiveScan(
  input: SelectiveScanInput,
  hAfter: Tensor,
): Omit<SsmTrace, 'mixer' | 'window' | 'y'> {
  const fl = rounding(input.x.data);
  const dInner = input.x.shape[2];
  const dState = input.A.shape[1];
  const dt = zeros(dInner, input.x.data);
  const decay = zeros(dInner * dState, input.x.data);
  const rowsOfA = rowsOf(input.A);
  for (let d = 0; d < dInner; d++) {
    dt[d] = stepSize(input.dtRaw.data[d], input.dtBias?.data[d], true, fl);
    for (let n = 0; n < dState; n++) decay[d * dState + n] = fl(exp(fl(dt[d] * rowsOfA[d][n])));
  }
  const nGroups = input.B.shape[2];
  const copy = (t: Tensor, ...shape: number[]) => ({ data: copyAs(t.data, t.data), shape });
  return {
    kind: 'ssm',
    dt: { data: dt, shape: [dInner] },
    decay: { data: decay, shape: [dInner, dState] },
    x: copy(input.x, dInner, 1),
    B: copy(input.B, nGroups, dState),
    C: copy(input.C, nGroups, dState),
    hBefore: input.h
      ? copy(input.h, dInner, 1, dState)
      : copy(zerosLike(hAfter), dInner, 1, dState),
    hAfter: copy(hAfter, dInner, 1, dState),
    gate: input.z
      ? { data: mapElements(input.z.data, silu), shape: [dInner] }
      : { data: zeros(dInner, input.x.data).fill(1), shape: [dInner] },
  };
}
