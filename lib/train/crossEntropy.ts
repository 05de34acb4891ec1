/** How surprised a model is by texts that it has not learned from. */

import type { TrainingDevice } from '../../backends/training.ts';
import type { ModelConfig } from '../../reference/config.ts';
import type { Tensor } from '../../reference/tensor.ts';
import { batchOf, type Example } from './batches.ts';
import { modelOnTape } from './graph.ts';
import { ParameterSet } from './optimiser.ts';
import { Tape } from './tape.ts';

/** Mean −ln p of the next token over all examples, in nats per token. */
export function crossEntropyOf(
  device: TrainingDevice,
  { config, weights }: { config: ModelConfig; weights: ReadonlyMap<string, Tensor> },
  examples: readonly Example[],
  { batch, seqlen }: { batch: number; seqlen: number },
): number {
  const parameters = new ParameterSet(device, weights, () => false);
  let [sum, count] = [0, 0];
  try {
    for (let from = 0; from < examples.length; from += batch) {
      const rows = batchOf(examples.slice(from, from + batch), seqlen, 0);
      const { tokens, targets } = rows;
      const tape = new Tape(device);
      const own = { tape, config, parameters: parameters.variables() };
      const logits = modelOnTape({ ...own, tokens, seqlen });
      const counted = targets.reduce((n, target) => n + (target >= 0 ? 1 : 0), 0);
      sum += counted * device.read(tape.loss('crossEntropy', { logits, targets }))[0];
      count += counted;
      device.reset();
    }
  } finally {
    device.reset();
    parameters.free();
  }
  return sum / count;
}
