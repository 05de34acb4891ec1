/**
 * A student that begins with what its teacher's attention has learned: values become x, keys B, queries C
 * (Wang et al. 2024, "The Mamba in the Llama", arXiv 2408.15237, algorithm 1), and so they do for Llamba.
 */

import type {
  AttentionConfig,
  DiscreteMamba2Config,
  MambaInLlama2Config,
  MambaInLlamaConfig,
  ModelConfig,
} from '../../reference/config.ts';
import { ConfigError } from '../../reference/errors.ts';
import { createModel, weightShapes } from '../../reference/model.ts';
import { type Tensor, type Vector, zeros } from '../../reference/tensor.ts';
import { InitialValues, OPEN_GATE } from './initialValues.ts';
import { type StudentMixer, type StudentOptions, studentConfig } from './studentConfig.ts';

/** A config and a tensor for every name of weightShapes. */
export interface ModelWithWeights {
  readonly config: ModelConfig;
  readonly weights: ReadonlyMap<string, Tensor>;
}

/** Where x, B, C and the output projection of converted layers come from, and what the convolution does with them. */
export const VARIANTS = ['attention', 'passing', 'random'] as const;
export type Variant = (typeof VARIANTS)[number];

export interface InitOptions extends StudentOptions {
  /** Of the new parameters, a whole number in [0, 2⁵³). */
  readonly seed: number;
  /**
   * `attention` takes x, B, C and the output projection from the teacher, as published. `passing` does too, and every
   * convolution begins by passing on the current token, as Llamba's does; MambaInLlama's are drawn, and mix what was
   * taken. `random` draws all, for comparison; what is drawn in several variants is the same, to the bit. Default
   * `attention`.
   */
  readonly variant?: Variant;
}

/**
 * Makes a student of a Llama-family teacher. Embedding, norms, MLPs, head and kept attention layers are
 * copies of the teacher's. Of a converted layer
 *
 *   mambaInLlama   x ← W_V, B ← W_K, C ← W_Q, out ← W_O. z and Δ's projections drawn as PyTorch's linear
 *                  layers, W_Δ from U(±dtRank^−½), its bias for Δ from 1e-3 to 0.1, A = −1 … −dState, D = 1,
 *                  the convolution drawn as PyTorch's. The mixer repeats x and B by groups of dState channels
 *   mambaInLlama2  the same by heads: A from −U(1, 16) a head, D = 1, the gated norm's weight 1
 *   llamba         keys and values repeated for each query head, whole heads at a time. The convolution passes
 *                  on the current token, the gate is open (z weights 0, silu(zBias) = 1), D = 1. The forget
 *                  logits a are drawn as a linear layer's, as MOHAWK does (Bick et al. 2024, arXiv 2408.10189):
 *                  their rows have no bias in the published layout, so decays begin around ½ and are for its
 *                  first stage to learn
 *
 * @returns tensors of their own; nothing is shared with the teacher.
 * @throws ConfigError as {@link studentConfig}, or for the seed; ShapeError for weights that do not fit.
 */
export function initFromAttention(
  teacher: ModelWithWeights,
  options: InitOptions,
): { config: ModelConfig; weights: Map<string, Tensor> } {
  return convertFurther(teacher, teacher, options);
}

/**
 * {@link initFromAttention} for a model some of whose layers are a student's already: those stay as they are, and so does
 * everything else, attentions that are kept among it. Layers that are converted now begin with the attention that the
 * model has, not the teacher's. (MambaInLlama's code copies the teacher's; there attentions are frozen while students
 * train, so that the two are the same.)
 * @param teacher which the model came from.
 */
export function convertFurther(
  teacher: ModelWithWeights,
  model: ModelWithWeights,
  options: InitOptions,
): { config: ModelConfig; weights: Map<string, Tensor> } {
  const { seed, variant = 'attention' } = options;
  if (!VARIANTS.includes(variant)) {
    throw new ConfigError(
      `student: variant: expected one of ${VARIANTS.join(', ')}, got ${variant}`,
    );
  }
  const config = studentConfig(teacher.config, options);
  createModel(model.config, model.weights);
  const weightOf = (name: string) => model.weights.get(name) as Tensor; // createModel has seen them all
  const isDrawn = variant === 'random';
  const mixers = config.layers.map(({ mixer }, i) => {
    const attention = model.config.layers[i].mixer;
    if (mixer.kind === 'attention' || attention.kind !== 'attention') return undefined;
    const inProj = weightOf(`layers.${i}.mixer.inProj`);
    const values = new InitialValues(seed, i, inProj.data);
    const learned = isDrawn
      ? undefined
      : projectionsOf(attention, inProj, weightOf(`layers.${i}.mixer.outProj`));
    const drawn = mixerWeights(mixer as StudentMixer, config.dModel, learned, values);
    return variant === 'passing' ? { ...drawn, ...passing(drawn, values) } : drawn;
  });
  const weights = new Map<string, Tensor>();
  for (const name of weightShapes(config).keys()) {
    const [, layer, weight] = /^layers\.(\d+)\.mixer\.(\w+)$/.exec(name) ?? [];
    weights.set(name, mixers[Number(layer)]?.[weight] ?? copy(weightOf(name)));
  }
  return { config, weights };
}

/** A teacher's projections by what they become. */
interface Projections {
  /** From the values. Shape (nKvHeads·headDim, dModel). */
  x: Tensor;
  /** From the keys. Shape (nKvHeads·headDim, dModel). */
  B: Tensor;
  /** From the queries. Shape (nHeads·headDim, dModel). */
  C: Tensor;
  /** Shape (dModel, nHeads·headDim). */
  outProj: Tensor;
  /** The same once for each query head. Shape (nHeads·headDim, dModel). */
  perHead: (t: Tensor) => Tensor;
}

/** Cuts a teacher's rows [q | k | v]. */
function projectionsOf(
  { nHeads, nKvHeads, headDim }: AttentionConfig,
  inProj: Tensor,
  outProj: Tensor,
): Projections {
  const [q, kv] = [nHeads * headDim, nKvHeads * headDim];
  return {
    C: rows(inProj, 0, q),
    B: rows(inProj, q, kv),
    x: rows(inProj, q + kv, kv),
    outProj: copy(outProj),
    perHead: (t) =>
      joinRows(
        Array.from({ length: nHeads }, (_, head) =>
          rows(t, Math.floor(head / (nHeads / nKvHeads)) * headDim, headDim),
        ),
      ),
  };
}

type Weights = Readonly<Record<string, Tensor>>;

function mixerWeights(
  mixer: StudentMixer,
  dModel: number,
  learned: Projections | undefined,
  values: InitialValues,
): Weights {
  switch (mixer.kind) {
    case 'mambaInLlama':
      return mambaInLlamaWeights(mixer, dModel, learned, values);
    case 'mambaInLlama2':
      return mambaInLlama2Weights(mixer, dModel, learned, values);
    case 'discreteMamba2':
      return llambaWeights(mixer, dModel, learned, values);
  }
}

function mambaInLlamaWeights(
  { dInner, dXb, dState, dConv, dtRank }: MambaInLlamaConfig,
  dModel: number,
  learned: Projections | undefined,
  values: InitialValues,
): Weights {
  return {
    inProj: joinRows([
      values.layer('z', dInner, dModel),
      learned?.x ?? values.layer('x', dXb, dModel),
      learned?.B ?? values.layer('B', dXb, dModel),
      learned?.C ?? values.layer('C', dInner, dModel),
      values.layer('dt', dtRank, dModel),
    ]),
    convWeight: values.layer('convWeight', dInner, dConv),
    convBias: values.uniform('convBias', 1 / Math.sqrt(dConv), dInner),
    dtProj: values.layer('dtProj', dInner, dtRank),
    dtBias: values.stepBias(dInner),
    ALog: values.realRates(dInner, dState),
    D: values.constant(1, dInner),
    outProj: learned?.outProj ?? values.layer('outProj', dModel, dInner),
  };
}

function mambaInLlama2Weights(
  { nHeads, headDim, dXb, dConv }: MambaInLlama2Config,
  dModel: number,
  learned: Projections | undefined,
  values: InitialValues,
): Weights {
  const dInner = nHeads * headDim;
  const channels = 2 * dXb + dInner;
  return {
    inProj: joinRows([
      values.layer('z', dInner, dModel),
      learned?.x ?? values.layer('x', dXb, dModel),
      learned?.B ?? values.layer('B', dXb, dModel),
      learned?.C ?? values.layer('C', dInner, dModel),
      values.layer('dt', nHeads, dModel),
    ]),
    convWeight: values.layer('convWeight', channels, dConv),
    convBias: values.uniform('convBias', 1 / Math.sqrt(dConv), channels),
    dtBias: values.stepBias(nHeads),
    ALog: values.headRates(nHeads),
    D: values.constant(1, nHeads),
    normWeight: values.constant(1, dInner),
    outProj: learned?.outProj ?? values.layer('outProj', dModel, dInner),
  };
}

function llambaWeights(
  { nHeads, headDim, dConv }: DiscreteMamba2Config,
  dModel: number,
  learned: Projections | undefined,
  values: InitialValues,
): Weights {
  const dInner = nHeads * headDim;
  return {
    inProj: joinRows([
      learned ? learned.perHead(learned.x) : values.layer('x', dInner, dModel),
      learned ? learned.perHead(learned.B) : values.layer('B', dInner, dModel),
      learned?.C ?? values.layer('C', dInner, dModel),
      values.constant(0, dInner, dModel),
      values.layer('a', nHeads, dModel),
    ]),
    convWeight: values.identityConv(3 * dInner, dConv),
    convBias: values.constant(0, 3 * dInner),
    zBias: values.constant(OPEN_GATE, dInner),
    D: values.constant(1, nHeads),
    outProj: learned?.outProj ?? values.layer('outProj', dModel, dInner),
  };
}

/** A convolution that passes on the current token, in place of the mixer's. */
function passing({ convWeight: { shape } }: Weights, values: InitialValues): Weights {
  const [channels, dConv] = shape;
  return {
    convWeight: values.identityConv(channels, dConv),
    convBias: values.constant(0, channels),
  };
}

/** Some rows of a matrix, a view of them. */
function rows({ data, shape: [, width] }: Tensor, from: number, count: number): Tensor {
  return { data: data.subarray(from * width, (from + count) * width), shape: [count, width] };
}

/** Matrices of one width below each other. */
function joinRows(parts: readonly Tensor[]): Tensor {
  const [, width] = parts[0].shape;
  const count = parts.reduce((sum, { shape }) => sum + shape[0], 0);
  const data: Vector = zeros(count * width, parts[0].data);
  let at = 0;
  for (const part of parts) {
    data.set(part.data, at);
    at += part.data.length;
  }
  return { data, shape: [count, width] };
}

function copy({ data, shape }: Tensor): Tensor {
  return { data: data.slice(), shape };
}
