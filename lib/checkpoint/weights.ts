/** From a checkpoint's tensors to a model's weights: names matched, shapes checked, values read. */

import type { ModelConfig } from '../../reference/config.ts';
import { SelscanError } from '../../reference/errors.ts';
import { weightShapes } from '../../reference/model.ts';
import { type Precision, sizeOf, type Tensor, type Vector } from '../../reference/tensor.ts';
import type { ModelDescription } from './config.ts';
import { CheckpointError } from './errors.ts';
import { IGNORED_TENSORS, type NameScheme, type Part, SCHEMES, sourceOf } from './names.ts';
import type { TensorSet } from './shards.ts';

export interface LoadWeightsOptions {
  precision?: Precision;
  /** Whether NaN and infinite weights are let through. Default false. */
  allowNonFinite?: boolean;
  signal?: AbortSignal;
  /** Called after each tensor; loaded and total are bytes of the files. */
  onProgress?: (progress: LoadProgress) => void;
}

export interface LoadProgress {
  phase: 'weights';
  loaded: number;
  total: number;
}

/** Where one of our tensors comes from. */
export interface Plan {
  name: string;
  shape: readonly number[];
  parts: readonly Part[];
}

/**
 * Matches the checkpoint's tensors with the config's, by headers alone.
 * @throws CheckpointError with code MissingTensor, ShapeMismatch or UnexpectedTensor, naming all of them
 *   and the likely cause.
 */
export function planWeights(tensors: TensorSet, description: ModelDescription): Plan[] {
  const { config, scheme } = description;
  const names: NameScheme = SCHEMES[scheme];
  const plans = weightPlans(description);
  const used = new Set<string>();
  const missing: string[] = [];
  const misshaped: string[] = [];
  for (const { name, shape, parts } of plans) {
    for (const [file, rows] of parts) {
      if (file === null) continue;
      used.add(file);
      if (!tensors.has(file)) {
        missing.push(file);
        continue;
      }
      const wanted = foreignShape(name, [rows, ...shape.slice(1)]);
      const got = tensors.entry(file).shape;
      if (wanted.length !== got.length || wanted.some((n, i) => n !== got[i])) {
        misshaped.push(
          `"${file}" has shape [${got.join(', ')}], the config expects [${wanted.join(', ')}]`,
        );
      }
    }
  }
  if (config.isTied) used.add(names.model.head);
  const unexpected = [...tensors.names()].filter(
    (name) => !used.has(name) && !IGNORED_TENSORS.some((pattern) => pattern.test(name)),
  );
  if (missing.length + misshaped.length + unexpected.length > 0) {
    throw mismatchError(tensors, names, config, { missing, misshaped, unexpected });
  }
  return plans;
}

/** Where each weight of a model, and a reward model's `score`, stands in a checkpoint of its scheme. */
export function weightPlans({
  config,
  scheme,
  reward,
}: Pick<ModelDescription, 'config' | 'scheme' | 'reward'>): Plan[] {
  const shapes = weightShapes(config);
  if (reward) shapes.set('score', [1, config.dModel]);
  return Array.from(shapes, ([name, shape]) => ({
    name,
    shape,
    parts: locate(SCHEMES[scheme], config, name, shape),
  }));
}

function locate(
  names: NameScheme,
  config: ModelConfig,
  name: string,
  shape: readonly number[],
): readonly Part[] {
  const [, layer, rest] = /^layers\.(\d+)\.(.*)$/.exec(name) ?? [];
  if (layer === undefined) return asParts(sourceOf(names, 'model', name), '', name, shape);
  const prefix = names.layer.replace('{i}', layer);
  const source = rest.startsWith('mixer.')
    ? sourceOf(names, config.layers[Number(layer)].mixer, rest.slice('mixer.'.length))
    : sourceOf(names, 'block', rest);
  return asParts(source, prefix, name, shape);
}

function asParts(
  source: readonly Part[] | string | undefined,
  prefix: string,
  name: string,
  shape: readonly number[],
): readonly Part[] {
  // a tensor that the scheme has no name for is reported as missing under our own
  if (source === undefined) return [[name, shape[0]]];
  if (typeof source === 'string') return [[prefix + source, shape[0]]];
  return source.map(([file, rows]) => [file === null ? null : prefix + file, rows]);
}

/** Published convolutions are (channels, 1, dConv), as nn.Conv1d stores them. */
export function foreignShape(name: string, shape: readonly number[]): readonly number[] {
  return name.endsWith('.convWeight') ? [shape[0], 1, shape[1]] : shape;
}

interface Mismatch {
  missing: string[];
  misshaped: string[];
  unexpected: string[];
}

function mismatchError(
  tensors: TensorSet,
  names: NameScheme,
  config: ModelConfig,
  { missing, misshaped, unexpected }: Mismatch,
): CheckpointError {
  const list = (title: string, items: string[]) =>
    items.length > 0
      ? [
          `${items.length} ${title}: ${items.slice(0, 4).join(', ')}${items.length > 4 ? ', …' : ''}`,
        ]
      : [];
  const problem = [
    ...list(
      'missing',
      missing.map((name) => `"${name}"`),
    ),
    ...list('with another shape', misshaped),
    ...list(
      'unexpected',
      unexpected.map((name) => `"${name}"`),
    ),
    likelyCause(names, config, { missing, misshaped, unexpected }),
  ].join('; ');
  const code =
    missing.length > 0
      ? 'MissingTensor'
      : misshaped.length > 0
        ? 'ShapeMismatch'
        : 'UnexpectedTensor';
  const whole = `tensors do not fit config.json: ${problem}`;
  const { config: said = 'config.json' } = names;
  return new CheckpointError(code, tensors.label, whole.replaceAll('config.json', said));
}

function likelyCause(
  names: NameScheme,
  config: ModelConfig,
  { missing, misshaped, unexpected }: Mismatch,
): string {
  const layerPattern = new RegExp(
    `^${names.layer.replaceAll('.', '\\.').replace('{i}', '(\\d+)')}`,
  );
  const layerOf = (name: string) => Number(layerPattern.exec(name)?.[1] ?? -1);
  const nLayers = config.layers.length;
  if (missing.length === 1 && missing[0] === names.model.head) {
    return `is the head tied to the embedding? config.json says it is not`;
  }
  if (unexpected.length > 0 && unexpected.every((name) => layerOf(name) >= nLayers)) {
    return `config.json names ${nLayers} layers, the file holds more`;
  }
  if (missing.length > 0 && unexpected.length === 0) {
    const first = Math.min(...missing.map(layerOf));
    if (first >= 0 && new Set(missing.map(layerOf)).size === nLayers - first && first > 0) {
      return `config.json names ${nLayers} layers, the file holds ${first}`;
    }
    return 'was the file cut, or saved without them?';
  }
  if (unexpected.some((name) => /\.(weight_scale|qweight|scales|g_idx|SCB)$/.test(name))) {
    return 'are these quantised weights? they cannot be read yet';
  }
  if (missing.length > 0 && unexpected.length > 0) {
    return `names in the ${names.title} style were expected; is config.json from another model?`;
  }
  return misshaped.length > 0
    ? 'is config.json from the same checkpoint?'
    : 'does the model have parts that config.json does not name?';
}

/**
 * Reads all weights. F64 stays F64 (unless the model is float32); all else becomes float32, which holds
 * F32, F16 and BF16 exactly.
 * @throws CheckpointError; also with code NonFinite for NaN or infinite weights, and Aborted.
 */
export async function loadWeights(
  tensors: TensorSet,
  description: ModelDescription,
  options: LoadWeightsOptions = {},
): Promise<Map<string, Tensor>> {
  const { precision = 'float64', allowNonFinite = false, signal, onProgress } = options;
  const plans = planWeights(tensors, description);
  const { isTied } = description.config;
  const head = SCHEMES[description.scheme].model.head;
  const total = plans
    .flatMap(({ parts }) => parts)
    .reduce((sum, [file]) => sum + (file === null ? 0 : byteSize(tensors, file)), 0);
  let loaded = 0;
  const weights = new Map<string, Tensor>();
  for (const { name, shape, parts } of plans) {
    if (signal?.aborted) throw new SelscanError('Aborted', 'loading: aborted by its signal');
    let data: Vector | undefined;
    let at = 0;
    for (const [file, rows] of parts) {
      const size = rows * sizeOf(shape.slice(1));
      if (file !== null) {
        const part = (await tensors.file(file).floats(file)).data;
        if (!allowNonFinite) checkFinite(part, tensors, file);
        data = place(data, part, at, sizeOf(shape), precision);
        loaded += byteSize(tensors, file);
        onProgress?.({ phase: 'weights', loaded, total });
      }
      at += size;
    }
    weights.set(name, { data: data ?? new Float32Array(sizeOf(shape)), shape });
  }
  const embedding = weights.get('embedding');
  if (isTied && tensors.has(head) && embedding) await checkTied(tensors, head, embedding);
  return weights;
}

function byteSize(tensors: TensorSet, name: string): number {
  const { begin, end } = tensors.entry(name);
  return end - begin;
}

/** Puts a part where it belongs; the only part of a tensor is taken as it is. */
function place(
  whole: Vector | undefined,
  part: Vector,
  at: number,
  size: number,
  precision: Precision,
): Vector {
  const wantsFloat64 = precision === 'float64' && part instanceof Float64Array;
  if (part.length === size) {
    return precision === 'float32' && part instanceof Float64Array ? Float32Array.from(part) : part;
  }
  let data = whole ?? (wantsFloat64 ? new Float64Array(size) : new Float32Array(size));
  if (wantsFloat64 && data instanceof Float32Array) data = Float64Array.from(data);
  data.set(part, at);
  return data;
}

function checkFinite(data: Vector, tensors: TensorSet, name: string): void {
  // 0·x is NaN for every x that is not finite, and sums keep it; four sums let the processor overlap them
  let [a, b, c, d] = [0, 0, 0, 0];
  const whole = data.length - (data.length % 4);
  for (let i = 0; i < whole; i += 4) {
    a += 0 * data[i];
    b += 0 * data[i + 1];
    c += 0 * data[i + 2];
    d += 0 * data[i + 3];
  }
  for (let i = whole; i < data.length; i++) a += 0 * data[i];
  if (a + b + c + d === 0) return;
  const i = data.findIndex((x) => !Number.isFinite(x));
  throw new CheckpointError(
    'NonFinite',
    tensors.file(name).name,
    `tensor "${name}": expected finite numbers, got ${data[i]} at element ${i}; ` +
      'the training run diverged or the file is damaged (allowNonFinite loads it all the same)',
  );
}

/** A tied model may store its head as well, but only if it is the embedding. */
async function checkTied(tensors: TensorSet, head: string, embedding: Tensor): Promise<void> {
  const stored = await tensors.file(head).floats(head);
  const isSame =
    stored.data.length === embedding.data.length &&
    stored.data.every((x, i) => Object.is(x, embedding.data[i]));
  if (!isSame) {
    throw new CheckpointError(
      'ConfigMismatch',
      tensors.file(head).name,
      `config.json ties the head to the embedding, but "${head}" differs from it; ` +
        'is tie_word_embeddings (or tie_embeddings) right?',
    );
  }
}
