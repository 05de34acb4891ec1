/** A whole model on a tape: reference/model.ts over a batch of sequences. */

import type { LayerConfig, ModelConfig } from '../../reference/config.ts';
import { ConfigError, UnsupportedError } from '../../reference/errors.ts';
import { type Inside, mixerOnTape } from './mixers.ts';
import type { Tape, Variable } from './tape.ts';

/** A model's weights on a tape, by the names of reference/model.ts: `layers.0.mixer.inProj`. */
export type Parameters = ReadonlyMap<string, Variable>;

export interface GraphInput {
  tape: Tape;
  config: ModelConfig;
  parameters: Parameters;
  /** (batch·seqlen), sequence after sequence. */
  tokens: Int32Array;
  seqlen: number;
  /** Sees the residual stream behind each layer. */
  onHidden?: (layer: number, x: Variable) => void;
  /** Sees what a layer's mixer works on. */
  onInside?: (layer: number, inside: Inside) => void;
}

/** Logits after every token, (batch·seqlen, vocabRows). @throws ConfigError, UnsupportedError. */
export function modelOnTape(input: GraphInput): Variable {
  const { tape, config, parameters, tokens, onHidden } = input;
  expectTokens(tokens, input.seqlen, config.vocabSize);
  const get = (name: string) => weightNamed(parameters, name);
  let x = tape.apply('embedding', { tokens, weight: get('embedding') });
  config.layers.forEach((layer, i) => {
    x = layerOnTape(input, layer, i, x);
    onHidden?.(i, x);
  });
  return headOnTape(input, x);
}

/** One layer: x += mixer(norm(x)), then x += mlp(norm(x)). */
export function layerOnTape(
  { tape, parameters, seqlen, onInside }: Omit<GraphInput, 'tokens' | 'config' | 'onHidden'>,
  layer: LayerConfig,
  index: number,
  x: Variable,
): Variable {
  const { mixer, mlp, norm } = layer;
  const prefix = `layers.${index}`;
  const get = (name: string) => weightNamed(parameters, `${prefix}.${name}`);
  const normed = (from: Variable, name: string) => {
    if (norm.kind !== 'rms') {
      throw new UnsupportedError(
        'train: expected RMS norms, got LayerNorm; no gradient of it here',
      );
    }
    return tape.apply('rmsNorm', { x: from, weight: get(`${name}.weight`), eps: norm.eps });
  };
  const mixed = mixerOnTape(
    {
      ...{ tape, seqlen, u: normed(x, 'mixerNorm') },
      weight: (name) => get(`mixer.${name}`),
      maybe: (name) => parameters.get(`${prefix}.mixer.${name}`),
      onInside: onInside && ((inside) => onInside(index, inside)),
    },
    mixer,
  );
  const middle = tape.apply('add', { a: x, b: mixed });
  if (!mlp) return middle;
  const u = normed(middle, 'mlpNorm');
  const linear = (from: Variable, name: string) =>
    tape.apply('linear', {
      x: from,
      weight: get(`mlp.${name}`),
      bias: parameters.get(`${prefix}.mlp.${name}Bias`),
    });
  let y: Variable;
  if (mlp.kind === 'swiglu') {
    y = linear(tape.apply('gate', { x: linear(u, 'up'), z: linear(u, 'gate') }), 'down');
  } else {
    // mamba_ssm's: the gate is the second half
    const both = linear(u, 'fc1');
    const half = (from: number) => tape.apply('columns', { x: both, from, width: mlp.dHidden });
    y = linear(tape.apply('gate', { x: half(0), z: half(mlp.dHidden) }), 'fc2');
  }
  return tape.apply('add', { a: middle, b: y });
}

/** Final norm and logits. */
export function headOnTape(
  { tape, config, parameters }: Pick<GraphInput, 'tape' | 'config' | 'parameters'>,
  x: Variable,
): Variable {
  if (config.finalNorm.kind !== 'rms') {
    throw new UnsupportedError('train: expected RMS norms, got LayerNorm; no gradient of it here');
  }
  const weight = weightNamed(parameters, 'finalNorm.weight');
  const normed = tape.apply('rmsNorm', { x, weight, eps: config.finalNorm.eps });
  return tape.apply('linear', {
    x: normed,
    weight: weightNamed(parameters, config.isTied ? 'embedding' : 'head'),
    bias: parameters.get('headBias'),
  });
}

function weightNamed(parameters: Parameters, name: string): Variable {
  const found = parameters.get(name);
  if (!found) throw new ConfigError(`train: expected a weight ${name}, got none`, 'MissingWeight');
  return found;
}

function expectTokens(tokens: Int32Array, seqlen: number, vocabSize: number): void {
  if (!Number.isInteger(seqlen) || seqlen < 1 || tokens.length === 0 || tokens.length % seqlen) {
    throw new ConfigError(
      `train: tokens: expected whole sequences of seqlen = ${seqlen}, got ${tokens.length} tokens`,
    );
  }
  const wrong = tokens.find((token) => token < 0 || token >= vocabSize);
  if (wrong !== undefined) {
    throw new ConfigError(
      `train: tokens: expected ids from 0 to ${vocabSize - 1}, got ${wrong}`,
      'TokenRange',
    );
  }
}
