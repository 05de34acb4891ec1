/** The short convolution in front of a recurrence: each channel sees its own last few tokens. */

import { type Activation, activate } from './activations.ts';
import { axisOf, mainInput, rounding, type Tensor, zeros } from './tensor.ts';

export interface CausalConv1dInput {
  /** Shape (batch, seqlen, channels). */
  x: Tensor;
  /** One filter per channel; its last weight meets the current token. Shape (channels, dConv). */
  weight: Tensor;
  /** Shape (channels). */
  bias?: Tensor;
  /** What follows the sum: `silu` in Mamba, `identity` in Llamba. */
  activation: Activation;
  /** The dConv − 1 inputs before x, oldest first; zeros when absent. Shape (batch, channels, dConv − 1). Not modified. */
  convState?: Tensor;
}

export interface CausalConv1dOutput {
  /** Shape (batch, seqlen, channels). */
  y: Tensor;
  /** The last dConv − 1 inputs (never outputs), oldest first. Shape (batch, channels, dConv − 1). */
  convState: Tensor;
}

/**
 * y[t] = act(bias + Σ_w weight[w]·x[t − dConv + 1 + w]), inputs before the first one taken from convState.
 *
 * We keep the dConv − 1 inputs that the next token needs. mamba_ssm keeps dConv, the current token last.
 * @throws ShapeError when the inputs' shapes do not fit.
 */
export function causalConv1d(input: CausalConv1dInput): CausalConv1dOutput {
  const { x, weight, bias, activation, convState } = input;
  const { sizes, check, optional } = mainInput('causalConv1d', 'x', x, [
    'batch',
    'seqlen',
    'channels',
  ]);
  const [batch, seqlen, channels] = sizes;
  const dConv = axisOf(weight, 1);
  const kept = Math.max(dConv - 1, 0);
  check('weight', weight, { channels, dConv });
  optional('bias', bias, { channels });
  optional('convState', convState, { batch, channels, 'dConv − 1': kept });

  const fl = rounding(x.data);
  const y = zeros(batch * seqlen * channels, x.data);
  const nextState = zeros(batch * channels * kept, x.data);
  for (let b = 0; b < batch; b++) {
    for (let c = 0; c < channels; c++) {
      // input of token t, where t = −1 is the newest one of convState
      const inputAt = (t: number) => {
        if (t >= 0) return x.data[(b * seqlen + t) * channels + c];
        return convState ? convState.data[(b * channels + c) * kept + kept + t] : 0;
      };
      for (let t = 0; t < seqlen; t++) {
        let sum = bias ? bias.data[c] : 0;
        for (let w = 0; w < dConv; w++) {
          sum = fl(sum + fl(weight.data[c * dConv + w] * inputAt(t - dConv + 1 + w)));
        }
        y[(b * seqlen + t) * channels + c] = activate(sum, activation, fl);
      }
      for (let k = 0; k < kept; k++) {
        nextState[(b * channels + c) * kept + k] = inputAt(seqlen - kept + k);
      }
    }
  }
  return {
    y: { data: y, shape: x.shape },
    convState: { data: nextState, shape: [batch, channels, kept] },
  };
}
