/** A sequence's state as bytes: to be stored, sent, and taken up again elsewhere. */

import type { ModelConfig } from '../../reference/config.ts';
import { newState, type SequenceState } from '../../reference/state.ts';
import { type Precision, type Tensor, toPrecision } from '../../reference/tensor.ts';
import { CheckpointError } from '../checkpoint/errors.ts';
import { sourceFromBytes } from '../checkpoint/files.ts';
import { encodeSafetensors, TensorFile } from '../checkpoint/tensorFile.ts';

const FORMAT = 'selscan-state-1';
const PARTS = ['convState', 'h', 'keys', 'values'] as const;

/** A state as a safetensors file. Restored, it decodes to the same bits. */
export function saveState(state: SequenceState): Uint8Array {
  const tensors = new Map<string, Tensor>();
  state.layers.forEach((layer, i) => {
    for (const part of PARTS) {
      const value = layer[part];
      if (value === undefined) continue;
      const t =
        'width' in value
          ? {
              data: value.data.slice(0, value.length * value.width),
              shape: [value.length, value.width],
            }
          : value;
      tensors.set(`layers.${i}.${part}`, t);
    }
  });
  return encodeSafetensors(tensors, { format: FORMAT, position: String(state.position) });
}

/**
 * The state that {@link saveState} wrote.
 * @throws CheckpointError for damaged bytes, or with code StateMismatch for a state of another model.
 */
export async function restoreState(
  bytes: Uint8Array,
  config: ModelConfig,
  precision: Precision = 'float64',
): Promise<SequenceState> {
  const file = await TensorFile.open(sourceFromBytes(bytes, 'saved state'));
  const mismatch = (problem: string) =>
    new CheckpointError('StateMismatch', file.name, `${problem}; is it a state of this model?`);
  const { metadata, tensors } = file.header;
  const digits = metadata.get('position') ?? '';
  const position = Number(digits);
  if (metadata.get('format') !== FORMAT || !/^\d{1,15}$/.test(digits)) {
    throw mismatch(`expected format ${FORMAT} with a position`);
  }
  const state = newState(config, precision);
  let expected = 0;
  for (const [i, layer] of state.layers.entries()) {
    for (const part of PARTS) {
      const empty = layer[part];
      if (empty === undefined) continue;
      expected++;
      const name = `layers.${i}.${part}`;
      if (!tensors.has(name)) throw mismatch(`no tensor "${name}"`);
      const stored = toPrecision(await file.floats(name), precision);
      const shape = 'width' in empty ? [position, empty.width] : empty.shape;
      if (stored.shape.join() !== shape.join()) {
        throw mismatch(
          `"${name}" has shape [${stored.shape.join(', ')}], expected [${shape.join(', ')}]`,
        );
      }
      if ('width' in empty) {
        Object.assign(empty, { data: stored.data, length: position });
      } else {
        Object.assign(layer, { [part]: stored });
      }
    }
  }
  if (tensors.size !== expected)
    throw mismatch(`expected ${expected} tensors, got ${tensors.size}`);
  state.position = position;
  return state;
}
