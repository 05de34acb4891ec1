/** Where numbers stop being finite, for the message of a run that ends because of it. */

import type { TrainingDevice } from '../../backends/training.ts';
import type { ModelConfig } from '../../reference/config.ts';
import type { Batch } from './batches.ts';
import { modelOnTape, type Parameters } from './graph.ts';
import { Tape, type Variable } from './tape.ts';

/** Names the first weight or layer of a forward pass that is not finite; a gradient where all of them are. */
export function firstNotFinite(
  device: TrainingDevice,
  config: ModelConfig,
  parameters: Parameters,
  { tokens, seqlen }: Batch,
): string {
  const allFinite = ({ value }: Variable) => device.read(value).every(Number.isFinite);
  for (const [name, weight] of parameters) {
    if (!allFinite(weight)) return `weight ${name} is not finite`;
  }
  let found: string | undefined;
  const onHidden = (layer: number, x: Variable) => {
    if (!found && !allFinite(x)) found = `layer ${layer} makes numbers that are not finite`;
  };
  const tape = new Tape(device);
  const logits = modelOnTape({ tape, config, parameters, tokens, seqlen, onHidden });
  if (found) return found;
  return allFinite(logits) ? 'a gradient is not finite' : 'the logits are not finite';
}
