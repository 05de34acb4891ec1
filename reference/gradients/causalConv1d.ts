/** The gradient of the short convolution. */

import type { CausalConv1dInput } from '../causalConv1d.ts';
import { axisOf, checkShape, mainInput, type Tensor } from '../tensor.ts';
import { activationSlope, float64ZerosLike } from './slopes.ts';

/** Each of the shape of the input of its name, in Float64; of an optional input only where it is there. */
export interface CausalConv1dGradient {
  x: Tensor;
  weight: Tensor;
  bias?: Tensor;
  convState?: Tensor;
}

/**
 * With s_t = bias + Σ_w weight[w]·x_{t−dConv+1+w} and y = act(s), from dy
 *
 *   ds_t = dy_t·act'(s_t)          dbias = Σ_t ds_t
 *   dweight[w] = Σ_t ds_t·x_{t−dConv+1+w}
 *   dx_{t−dConv+1+w} += ds_t·weight[w]      convState's where the token is before the first
 *
 * the chain rule on causalConv1d's equation: x is correlated where it was convolved.
 * @throws ShapeError when shapes do not fit.
 */
export function causalConv1dGradient(input: CausalConv1dInput, dy: Tensor): CausalConv1dGradient {
  const { x, weight, bias, activation, convState } = input;
  const axes = ['batch', 'seqlen', 'channels'];
  const { sizes, check, optional } = mainInput('causalConv1dGradient', 'x', x, axes);
  const [batch, seqlen, channels] = sizes;
  const dConv = axisOf(weight, 1);
  const kept = Math.max(dConv - 1, 0);
  check('weight', weight, { channels, dConv });
  optional('bias', bias, { channels });
  optional('convState', convState, { batch, channels, 'dConv − 1': kept });
  checkShape('causalConv1dGradient', 'dy', dy, { batch, seqlen, channels });

  const [dX, dWeight] = [float64ZerosLike(x), float64ZerosLike(weight)];
  const dBias = bias && float64ZerosLike(bias);
  const dState = convState && float64ZerosLike(convState);
  for (let b = 0; b < batch; b++) {
    for (let c = 0; c < channels; c++) {
      // where token t stands, in x or, for t < 0, in convState
      const inX = (t: number) => (b * seqlen + t) * channels + c;
      const inState = (t: number) => (b * channels + c) * kept + kept + t;
      const inputAt = (t: number) => (t >= 0 ? x.data[inX(t)] : (convState?.data[inState(t)] ?? 0));
      for (let t = 0; t < seqlen; t++) {
        const first = t - dConv + 1;
        let sum = bias ? bias.data[c] : 0;
        for (let w = 0; w < dConv; w++) sum += weight.data[c * dConv + w] * inputAt(first + w);
        const dSum = dy.data[inX(t)] * activationSlope(sum, activation);
        if (dBias) dBias.data[c] += dSum;
        for (let w = 0; w < dConv; w++) {
          dWeight.data[c * dConv + w] += dSum * inputAt(first + w);
          const dInput = dSum * weight.data[c * dConv + w];
          if (first + w >= 0) dX.data[inX(first + w)] += dInput;
          else if (dState) dState.data[inState(first + w)] += dInput;
        }
      }
    }
  }
  return {
    x: dX,
    weight: dWeight,
    ...(dBias && { bias: dBias }),
    ...(dState && { convState: dState }),
  };
}
