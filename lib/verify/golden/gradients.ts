/** Upstream's gradient cases in terms of our gradients: the loss is Σ out·dout, and Σ of the final state's. */

import { causalConv1dGradient } from '../../../reference/gradients/causalConv1d.ts';
import { discreteSsdMatrixGradient } from '../../../reference/gradients/discreteSsdMatrix.ts';
import {
  matrixDistance,
  matrixDistanceGradient,
} from '../../../reference/gradients/matrixDistance.ts';
import { selectiveScanGradient } from '../../../reference/gradients/selectiveScan.ts';
import { ssdGradient } from '../../../reference/gradients/ssd.ts';
import type { Tensor } from '../../../reference/tensor.ts';
import type { Adapter, Outputs } from './case.ts';
import { causalConv1dInput } from './convolution.ts';
import { matrixInput } from './discreteSsd.ts';
import { permute, skipCase, sumOverChannels, withShape } from './layout.ts';
import { selectiveScanInput } from './mamba1.ts';
import { ssdInput } from './mamba2.ts';

/** Gradients as `grad_…`, without those of inputs that the case does not have. */
function named(gradients: Record<string, Tensor | undefined>): Outputs {
  const present = Object.entries(gradients).filter(
    (entry): entry is [string, Tensor] => !!entry[1],
  );
  return Object.fromEntries(present.map(([name, gradient]) => [`grad_${name}`, gradient]));
}

/** The gradient of B or C as it was given: constant over tokens (D, N), of one group (B, N, L), of several. */
function scanMatrixGradient(gradient: Tensor, given: Tensor): Tensor {
  const { shape } = given;
  const [batch, seqlen, , dState] = gradient.shape;
  if (shape.length === 4) return permute(sumOverChannels(gradient, shape[1]), 'blgn', 'bgnl');
  if (shape.length === 3) {
    const summed = withShape(sumOverChannels(gradient, 1), batch, seqlen, dState);
    return permute(summed, 'bln', 'bnl');
  }
  const sum = { data: given.data.slice().fill(0), shape };
  gradient.data.forEach((value, i) => {
    sum.data[i % sum.data.length] += value;
  });
  return sum;
}

/** selective_scan_grad. */
export const selectiveScanGrad: Adapter = async (c, run) => {
  const input = selectiveScanInput(c);
  const { y, h } = await run('selectiveScan', input);
  const dy = permute(c.tensor('dout'), 'bdl', 'bld');
  const gradient = selectiveScanGradient(input, dy, { dh: c.optional('dlast_state') });
  return {
    out: permute(y, 'bld', 'bdl'),
    last_state: h,
    ...named({
      u: permute(gradient.x, 'bld', 'bdl'),
      delta: permute(gradient.dtRaw, 'bld', 'bdl'),
      A: gradient.A,
      B: scanMatrixGradient(gradient.B, c.tensor('B')),
      C: scanMatrixGradient(gradient.C, c.tensor('C')),
      D: gradient.D,
      z: gradient.z && permute(gradient.z, 'bld', 'bdl'),
      delta_bias: gradient.dtBias,
      initial_state: input.h && gradient.h,
    }),
  };
};

/** ssd_scan_grad. */
export const ssdScanGrad: Adapter = async (c, run) => {
  const input = ssdInput(c);
  const { y, h } = await run('ssd', input);
  const gradient = ssdGradient(input, c.tensor('dout'), { dh: c.optional('dfinal_state') });
  return {
    out: y,
    final_state: h,
    ...named({
      x: gradient.x,
      dt: gradient.dtRaw,
      A: gradient.A,
      B: gradient.B,
      C: gradient.C,
      D: skipCase(gradient.D),
      z: gradient.z,
      dt_bias: gradient.dtBias,
      initial_states: input.h && gradient.h,
    }),
  };
};

/** causal_conv1d_grad. */
export const causalConv1dGrad: Adapter = async (c, run) => {
  const input = causalConv1dInput(c);
  const { y } = await run('causalConv1d', input);
  const gradient = causalConv1dGradient(input, permute(c.tensor('dout'), 'bdl', 'bld'));
  return {
    out: permute(y, 'bld', 'bdl'),
    ...named({
      x: permute(gradient.x, 'bld', 'bdl'),
      weight: gradient.weight,
      bias: gradient.bias,
      initial_states: gradient.convState,
    }),
  };
};

/** mohawk_stage1: how far a Discrete Mamba-2's matrices are from attention, and the gradient of that. */
export const mohawkStage1: Adapter = async (c, run) => {
  const input = matrixInput(c);
  const { M } = await run('discreteSsdMatrix', input);
  const distance = { x: M, target: c.tensor('attn') };
  const gradient = discreteSsdMatrixGradient(input, matrixDistanceGradient(distance).x);
  return {
    loss: { data: Float64Array.of(matrixDistance(distance)), shape: [] },
    ...named({
      A_log: gradient.a,
      B: gradient.B,
      C: gradient.C,
      D: skipCase(gradient.D),
    }),
  };
};
