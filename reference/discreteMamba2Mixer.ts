/** Llamba's mixer: Discrete Mamba-2 without step size, without norm, with a bias on the gate. */

import { mapElements, sigmoid, silu } from './activations.ts';
import { causalConv1d } from './causalConv1d.ts';
import { convChannels, type DiscreteMamba2Config } from './config.ts';
import { discreteSsd } from './discreteSsd.ts';
import { linear } from './linear.ts';
import { convWindow, type MixerInput, type ShapesOf } from './mixer.ts';
import { gateProduct } from './swigluMlp.ts';
import { copyAs, reshape, rounding, splitColumns, type Tensor, zeros } from './tensor.ts';

export interface DiscreteMamba2Weights {
  /** Rows [x | B | C | z | a]. Shape (2·dInner + 2·nGroups·dState + nHeads, dModel), dInner = nHeads·headDim. */
  inProj: Tensor;
  inProjBias?: Tensor;
  /** Channels [x | B | C]. Shape (dInner + 2·nGroups·dState, dConv). */
  convWeight: Tensor;
  convBias?: Tensor;
  /** Added to z before silu; present where the projections have no bias. Shape (dInner). */
  zBias?: Tensor;
  /** Shape (nHeads). */
  D: Tensor;
  /** Shape (dModel, dInner). */
  outProj: Tensor;
  /** Shape (dModel). */
  outProjBias?: Tensor;
}

export function discreteMamba2Shapes(
  config: DiscreteMamba2Config,
  dModel: number,
): ShapesOf<DiscreteMamba2Weights> {
  const { nHeads, headDim, dConv, hasBias, hasConvBias } = config;
  const dInner = nHeads * headDim;
  const channels = convChannels(config);
  const dInProj = channels + dInner + nHeads;
  return {
    inProj: [dInProj, dModel],
    inProjBias: hasBias ? [dInProj] : undefined,
    convWeight: [channels, dConv],
    convBias: hasConvBias ? [channels] : undefined,
    zBias: hasBias ? undefined : [dInner],
    D: [nHeads],
    outProj: [dModel, dInner],
    outProjBias: hasBias ? [dModel] : undefined,
  };
}

/**
 *   [x | B | C | z | a] = W_in·u,  [x | B | C] = act(conv([x | B | C]))
 *   y = W_out·(discreteSsd(x; a, B, C, D) ⊙ silu(z + zBias))
 *
 * Bick et al. 2025 (Llamba, arXiv 2502.14458). Returns shape (seqlen, dModel).
 */
export function discreteMamba2Mixer(
  input: MixerInput<DiscreteMamba2Weights, DiscreteMamba2Config>,
): Tensor {
  const { u, weights, config, state, trace } = input;
  const seqlen = u.shape[0];
  const { nHeads, headDim, nGroups, dState, activation } = config;
  const dInner = nHeads * headDim;
  const channels = convChannels(config);

  const projected = linear({ x: u, weight: weights.inProj, bias: weights.inProjBias }).y;
  const [xBC, z, a] = splitColumns(projected, [channels, dInner, nHeads]);
  const conv = causalConv1d({
    x: reshape(xBC, 1, seqlen, channels),
    weight: weights.convWeight,
    bias: weights.convBias,
    activation,
    convState: state.convState,
  });
  const convolved = reshape(conv.y, seqlen, channels);
  const [x, B, C] = splitColumns(convolved, [dInner, nGroups * dState, nGroups * dState]);
  const hBefore = state.h;
  const scan = discreteSsd({
    x: reshape(x, 1, seqlen, nHeads, headDim),
    a: reshape(a, 1, seqlen, nHeads),
    B: reshape(B, 1, seqlen, nGroups, dState),
    C: reshape(C, 1, seqlen, nGroups, dState),
    D: reshape(weights.D, nHeads, 1),
    h: hBefore,
  });
  const gateInput = weights.zBias ? addToRows(z, weights.zBias) : z;
  const gated = gateProduct(reshape(scan.y, seqlen, dInner), gateInput);
  const y = linear({ x: gated, weight: weights.outProj, bias: weights.outProjBias }).y;

  if (trace && seqlen === 1) {
    const copy = (t: Tensor, ...shape: number[]) => ({ data: copyAs(t.data, t.data), shape });
    const before = hBefore ?? { data: zeros(scan.h.data.length, x.data), shape: scan.h.shape };
    trace({
      kind: 'ssm',
      mixer: 'discreteMamba2',
      window: convWindow(state.convState, xBC),
      dt: { data: zeros(nHeads, x.data).fill(1), shape: [nHeads] },
      decay: { data: mapElements(a.data, (v, fl) => sigmoid(-v, fl)), shape: [nHeads, 1] },
      x: copy(x, nHeads, headDim),
      B: copy(B, nGroups, dState),
      C: copy(C, nGroups, dState),
      hBefore: copy(before, nHeads, headDim, dState),
      hAfter: copy(scan.h, nHeads, headDim, dState),
      gate: { data: mapElements(gateInput.data, silu), shape: [dInner] },
      y,
    });
  }
  state.convState = conv.convState;
  state.h = scan.h;
  return y;
}

/** Adds a vector to every row. */
function addToRows(t: Tensor, bias: Tensor): Tensor {
  const fl = rounding(t.data);
  const data = zeros(t.data.length, t.data);
  for (let i = 0; i < data.length; i++) data[i] = fl(t.data[i] + bias.data[i % bias.data.length]);
  return { data, shape: t.shape };
}
