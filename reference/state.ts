/** What a sequence carries from one token to the next: the only memory a model has. */

import { convChannels, type MixerConfig, type ModelConfig } from './config.ts';
import { copyAs, emptyOf, type Precision, type Tensor, type Vector, zeros } from './tensor.ts';

/** Everything a model knows of one sequence. A value: {@link cloneState} makes an independent copy. */
export interface SequenceState {
  /** Tokens taken in so far; the next one stands at this position, counted from 0. */
  position: number;
  /** One entry per layer. */
  readonly layers: LayerState[];
}

/** The parts of a layer's state that its mixer has. */
export interface LayerState {
  /** Inputs that the convolution still needs, oldest first. Shape (1, channels, dConv − 1). */
  convState?: Tensor;
  /** SSM state. Shape (1, dInner, dState) or (1, nHeads, headDim, dState). */
  h?: Tensor;
  /** Rotated keys of all tokens so far. */
  keys?: TokenCache;
  /** Values of all tokens so far. */
  values?: TokenCache;
}

/** Rows that grow by one per token. */
export interface TokenCache {
  /** Room for more rows than are in use. */
  data: Vector;
  /** Rows in use. */
  length: number;
  /** Numbers in a row. */
  readonly width: number;
}

/** The state before the first token: zeros, and empty caches. */
export function newState(config: ModelConfig, precision: Precision = 'float64'): SequenceState {
  const like = emptyOf(precision);
  return { position: 0, layers: config.layers.map(({ mixer }) => newLayerState(mixer, like)) };
}

function newLayerState(mixer: MixerConfig, like: Vector): LayerState {
  const zeroTensor = (...shape: number[]): Tensor => ({
    data: zeros(
      shape.reduce((size, n) => size * n, 1),
      like,
    ),
    shape,
  });
  const conv = mixer.dConv && { convState: zeroTensor(1, convChannels(mixer), mixer.dConv - 1) };
  switch (mixer.kind) {
    case 'attention': {
      const width = mixer.nKvHeads * mixer.headDim;
      const cache = (): TokenCache => ({ data: zeros(0, like), length: 0, width });
      return { ...conv, keys: cache(), values: cache() };
    }
    case 'mamba':
    case 'mambaInLlama':
      return { ...conv, h: zeroTensor(1, mixer.dInner, mixer.dState) };
    default:
      return { ...conv, h: zeroTensor(1, mixer.nHeads, mixer.headDim, mixer.dState) };
  }
}

/** An independent copy: what fork means. */
export function cloneState(state: SequenceState): SequenceState {
  const cloneTensor = (t: Tensor | undefined) =>
    t && { data: copyAs(t.data, t.data), shape: t.shape };
  const cloneCache = (c: TokenCache | undefined) =>
    c && { data: c.data.slice(0, c.length * c.width), length: c.length, width: c.width };
  return {
    position: state.position,
    layers: state.layers.map(({ convState, h, keys, values }) =>
      withoutUndefined({
        convState: cloneTensor(convState),
        h: cloneTensor(h),
        keys: cloneCache(keys),
        values: cloneCache(values),
      }),
    ),
  };
}

function withoutUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as T;
}

/** Appends rows to a cache, doubling its room when it is full. Updates the cache in place. */
export function appendRows(cache: TokenCache, rows: Vector): void {
  const used = cache.length * cache.width;
  if (used + rows.length > cache.data.length) {
    const grown = zeros(Math.max(2 * cache.data.length, used + rows.length), cache.data);
    grown.set(cache.data.subarray(0, used));
    cache.data = grown;
  }
  cache.data.set(rows, used);
  cache.length += rows.length / cache.width;
}

/** The rows in use as a tensor (1, length, nHeads, width / nHeads); nothing is copied. */
export function cacheTensor(cache: TokenCache, nHeads: number): Tensor {
  return {
    data: cache.data.subarray(0, cache.length * cache.width),
    shape: [1, cache.length, nHeads, cache.width / nHeads],
  };
}
