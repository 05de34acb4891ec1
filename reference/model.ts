/** Whole models: embedding, layers, final norm, logits; over a prompt and token by token. */

import {
  block,
  type LayerWeights,
  mixerShapes,
  mlpShapes,
  type NormWeights,
  normalise,
  normShapes,
} from './block.ts';
import { checkConfig } from './checkConfig.ts';
import type { LayerConfig, ModelConfig } from './config.ts';
import { embedding } from './embedding.ts';
import { ConfigError, ShapeError } from './errors.ts';
import { linear } from './linear.ts';
import { ropeFrequencies } from './rope.ts';
import type { SequenceState } from './state.ts';
import { checkShape, type Precision, type Tensor, type Vector } from './tensor.ts';
import type { Trace, TraceDetail } from './trace.ts';

export interface ModelWeights {
  /** Shape (vocabRows, dModel). */
  embedding: Tensor;
  layers: LayerWeights[];
  finalNorm: NormWeights;
  /** Absent where the embedding is used instead. Shape (vocabRows, dModel). */
  head?: Tensor;
  /** Shape (vocabRows). */
  headBias?: Tensor;
}

/** A config with weights that fit it. */
export interface Model {
  readonly config: ModelConfig;
  readonly weights: ModelWeights;
  /** Precision of everything computed; weights are at most that precise. */
  readonly precision: Precision;
  /** Rotary frequencies of each attention layer, made once. */
  readonly frequencies: readonly (Float64Array | undefined)[];
}

/** Names and shapes of a model's weights: `layers.0.mixer.inProj` → [64, 16]. */
export function weightShapes(config: ModelConfig): Map<string, readonly number[]> {
  const { dModel, vocabRows } = config;
  const shapes = new Map<string, readonly number[]>();
  const add = (prefix: string, table: Record<string, readonly number[] | undefined>) => {
    for (const [name, shape] of Object.entries(table)) {
      if (shape) shapes.set(`${prefix}${name}`, shape);
    }
  };
  add('', { embedding: [vocabRows, dModel] });
  config.layers.forEach((layer, i) => {
    for (const [part, table] of Object.entries(layerShapes(layer, dModel))) {
      add(`layers.${i}.${part}.`, table);
    }
  });
  add('finalNorm.', normShapes(config.finalNorm, dModel));
  add('', {
    head: config.isTied ? undefined : [vocabRows, dModel],
    headBias: config.hasHeadBias ? [vocabRows] : undefined,
  });
  return shapes;
}

function layerShapes(layer: LayerConfig, dModel: number) {
  return {
    mixerNorm: normShapes(layer.norm, dModel),
    mixer: mixerShapes(layer.mixer, dModel),
    ...(layer.mlp && {
      mlpNorm: normShapes(layer.norm, dModel),
      mlp: mlpShapes(layer.mlp, dModel),
    }),
  };
}

/**
 * A model from its config and a tensor for every name of {@link weightShapes}.
 * @throws ConfigError for a config that cannot be a model; ShapeError naming a tensor that is missing or
 *   does not fit, or is float64 in a float32 model.
 */
export function createModel(
  config: ModelConfig,
  tensors: ReadonlyMap<string, Tensor>,
  precision: Precision = 'float64',
): Model {
  checkConfig(config);
  const tree: Record<string, unknown> = { layers: config.layers.map(() => ({})) };
  for (const [name, shape] of weightShapes(config)) {
    const t = tensors.get(name);
    const axes = Object.fromEntries(shape.map((n, i) => [`axis ${i}`, n]));
    checkShape('createModel', name, t, axes);
    if (precision === 'float32' && t?.data instanceof Float64Array) {
      throw new ShapeError(
        `createModel: ${name}: expected float32 in a float32 model, got float64`,
      );
    }
    const path = name.split('.');
    const last = path.pop() as string;
    let node = tree;
    for (const key of path) {
      node[key] ??= {};
      node = node[key] as Record<string, unknown>;
    }
    node[last] = t;
  }
  const frequencies = config.layers.map(({ mixer }) =>
    mixer.kind === 'attention' && mixer.rope ? ropeFrequencies(mixer.rope) : undefined,
  );
  return { config, weights: tree as unknown as ModelWeights, precision, frequencies };
}

export interface PrefillInput {
  model: Model;
  /** Updated in place: it has taken in `tokens` afterwards. */
  state: SequenceState;
  /** At least one token id. */
  tokens: readonly number[] | Int32Array;
  /** Whether logits are wanted after every token, or after the last only. Default `all`. */
  logits?: 'all' | 'last';
  /** Receives the residual stream after each block, shape (seqlen, dModel). */
  onHidden?: (layer: number, hidden: Tensor) => void;
  /** Receives what happens inside; mixers are traced when there is exactly one token. */
  trace?: Trace;
}

export interface PrefillOutput {
  /** Row t predicts the token after t. Shape (seqlen, vocabRows), or (1, vocabRows) for the last only. */
  logits: Tensor;
}

/**
 * Takes in several tokens at once. Computed token by token in order, so that any way of cutting a prompt
 * into calls gives the same bits.
 * @throws ConfigError with code TokenRange, ContextLength or EmptyPrompt.
 */
export function prefill(input: PrefillInput): PrefillOutput {
  const { model, state, tokens, logits = 'all', onHidden, trace } = input;
  const { config, weights, precision, frequencies } = model;
  const { position } = state;
  const seqlen = tokens.length;
  if (seqlen === 0) throw new ConfigError('prefill: tokens: expected at least one', 'EmptyPrompt');
  if (position + seqlen > (config.contextLength ?? Number.POSITIVE_INFINITY)) {
    throw new ConfigError(
      `prefill: expected at most ${config.contextLength} tokens (the model's context), ` +
        `got ${position + seqlen}; shorten the prompt`,
      'ContextLength',
    );
  }
  let x = embedding({ tokens, weight: weights.embedding, precision }).y;
  if (seqlen === 1) trace?.({ kind: 'token', token: tokens[0], position });
  config.layers.forEach((layerConfig, layer) => {
    const report = trace && ((detail: TraceDetail) => trace({ ...detail, layer, position }));
    x = block({
      x,
      weights: weights.layers[layer],
      config: layerConfig,
      state: state.layers[layer],
      position,
      frequencies: frequencies[layer],
      trace: report,
    });
    onHidden?.(layer, x);
  });
  state.position += seqlen;
  if (logits === 'last' && seqlen > 1) {
    x = { data: x.data.slice((seqlen - 1) * config.dModel), shape: [1, config.dModel] };
  }
  const normed = normalise(x, weights.finalNorm, config.finalNorm);
  const head = weights.head ?? weights.embedding;
  const { y } = linear({ x: normed, weight: head, bias: weights.headBias });
  if (seqlen === 1) trace?.({ kind: 'logits', logits: y.data, position });
  return { logits: y };
}

/**
 * Takes in one token and returns the logits of the next. Shape (vocabRows).
 * @throws ConfigError with code TokenRange or ContextLength.
 */
export function step(model: Model, state: SequenceState, token: number, trace?: Trace): Vector {
  return prefill({ model, state, tokens: [token], trace }).logits.data;
}
