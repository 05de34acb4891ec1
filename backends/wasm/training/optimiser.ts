/** What an optimiser does: the norm of all gradients, and AdamW's step. */

import type { TrainingOps } from '../../training.ts';
import * as abi from './abiLayers.ts';
import { own, type TrainingMemory } from './device.ts';
import { rowsOf } from './shapes.ts';

const real = (value: number) => ({ real: value });

export function optimiserOps(memory: TrainingMemory): Pick<TrainingOps, 'sumOfSquares' | 'adamW'> {
  const { workspace } = memory;
  return {
    sumOfSquares(numbers) {
      const buffers = numbers.map(own);
      const counts = buffers.map(({ rows, stride }) => rows * stride);
      const blocks = counts.map((count) => Math.ceil(count / abi.SQUARES_BLOCK));
      const all = blocks.reduce((sum, n) => sum + n, 0);
      const [sums] = workspace.pieces(8 * all);
      const y = memory.output([1]);
      let to = sums;
      buffers.forEach(({ address }, i) => {
        memory.run(abi.SQUARES, address, counts[i], to);
        to += 8 * blocks[i];
      });
      memory.run(abi.TOTAL, sums, all, y.address);
      return y;
    },
    /**
     * m ← β₁·m + (1 − β₁)·g, v ← β₂·v + (1 − β₂)·g², p ← p − η·wd·p − η·m̂/(√v̂ + eps), with g the scaled gradient,
     * m̂ = m/(1 − β₁ᵗ) and v̂ = v/(1 − β₂ᵗ) (Loshchilov & Hutter 2019, arXiv 1711.05101).
     */
    adamW({ parameter, gradient, m, v, step, learningRate, betas, eps, ...rest }) {
      const p = own(parameter);
      const [g, mean, square] = [gradient, m, v].map((numbers) =>
        rowsOf('adamW: gradient, m and v', numbers, p.rows, p.width),
      );
      const [beta1, beta2] = betas;
      const numbers = [
        ...[rest.gradientScale, beta1, 1 - beta1, beta2, 1 - beta2],
        ...[1 - learningRate * rest.weightDecay, learningRate / (1 - beta1 ** step)],
        ...[1 / Math.sqrt(1 - beta2 ** step), eps],
      ];
      memory.run(
        ...([abi.ADAM_W, p.address, g.address, mean.address, square.address] as const),
        ...[p.stride, p.width, ...numbers.map(real), p.rows],
      );
    },
  };
}
