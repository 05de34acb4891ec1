/** One token of the short convolution. */

import type { Activation } from './activations.ts';
import { causalConv1d } from './causalConv1d.ts';
import { mainInput, reshape, type Tensor } from './tensor.ts';

export interface CausalConv1dStepInput {
  /** The current token's inputs. Shape (batch, channels). */
  x: Tensor;
  /** Shape (channels, dConv). */
  weight: Tensor;
  /** Shape (channels). */
  bias?: Tensor;
  /** What follows the sum: `silu` in Mamba, `identity` in Llamba. */
  activation: Activation;
  /** The dConv − 1 inputs before x, oldest first. Shape (batch, channels, dConv − 1). Not modified. */
  convState: Tensor;
}

export interface CausalConv1dStepOutput {
  /** Shape (batch, channels). */
  y: Tensor;
  /** The oldest input has left, x has come in last. Shape (batch, channels, dConv − 1). */
  convState: Tensor;
}

/**
 * y = act(bias + Σ_w weight[w]·window[w]), where the window is convState followed by x.
 * @throws ShapeError when the inputs' shapes do not fit.
 */
export function causalConv1dStep(input: CausalConv1dStepInput): CausalConv1dStepOutput {
  const [batch, channels] = mainInput('causalConv1dStep', 'x', input.x, [
    'batch',
    'channels',
  ]).sizes;
  const { y, convState } = causalConv1d({ ...input, x: reshape(input.x, batch, 1, channels) });
  return { y: reshape(y, batch, channels), convState };
}
