/** A model as llama.cpp describes it: what goes into a GGUF file. */

import type { LayerConfig, MixerConfig, ModelConfig } from '../../reference/config.ts';
import { UnsupportedError } from '../../reference/errors.ts';
import type { RopeScaling } from '../../reference/rope.ts';
import type { GgufDtype, GgufTensor, GgufValue } from './gguf.ts';
import { TOKEN_TYPES } from './ggufMetadata.ts';
import { ggufTensors, type WeightSource } from './ggufTensors.ts';

export type { WeightSource } from './ggufTensors.ts';

/** The families of llama.cpp that models of ours are. */
export type GgufArchitecture = 'mamba' | 'mamba2' | 'llama' | 'granitehybrid';

/** What a file says besides sizes and weights. */
export interface GgufTexts {
  /** The model's name in the file. */
  readonly name?: string;
  /** Metadata of a tokenizer, from `ggufVocabulary`. */
  readonly vocabulary?: ReadonlyMap<string, GgufValue>;
  readonly bosToken?: number;
  /** Tokens that end a text, three at most. */
  readonly eosTokens?: readonly number[];
}

export interface GgufModel {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: readonly GgufTensor[];
}

/** Where nothing limits the context: what the Mamba checkpoints among GGUF files say. */
const ENDLESS = 2 ** 20;
/** llama.cpp's numbers for a whole file. */
const FILE_TYPES: Record<GgufDtype, number> = { F32: 0, F16: 1, Q4_0: 2, Q8_0: 7, BF16: 32 };

/**
 * Everything of a model's GGUF file. Unless it is given, the vocabulary is made up: `<t0>`, `<t1>`, …: tokens go in and
 * out as ids.
 * @param dtype of the matrices; blocks are not for those with rows of no multiple of 32, nothing but F32 for convolutions.
 * @throws UnsupportedError with code UnsupportedModel for what llama.cpp cannot compute the same way.
 */
export function ggufModel(
  source: WeightSource,
  dtype: GgufDtype,
  { name = 'selscan', vocabulary, bosToken, eosTokens = [] }: GgufTexts = {},
): GgufModel {
  const { config } = source;
  const architecture = architectureOf(config);
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', text(architecture)],
    ['general.name', text(name)],
    ['general.file_type', uint(FILE_TYPES[dtype])],
    ...sizesOf(config, architecture).map(
      ([key, value]) => [`${architecture}.${key}`, value] as const,
    ),
    ...(vocabulary ?? madeUp(config)),
  ]);
  // what the caller says ends a text goes before what the vocabulary says
  if (bosToken !== undefined) metadata.set('tokenizer.ggml.bos_token_id', uint(bosToken));
  ['eos', 'eot', 'eom'].forEach((key, i) => {
    if (i < eosTokens.length) metadata.set(`tokenizer.ggml.${key}_token_id`, uint(eosTokens[i]));
  });
  return { metadata, tensors: ggufTensors(source, dtype) };
}

/** A vocabulary without words. Of the tokenizers, byte pairs alone get along with one that lacks the bytes. */
function madeUp({ vocabRows, vocabSize }: ModelConfig): [string, GgufValue][] {
  const ids = Array.from({ length: vocabRows }, (_, id) => id);
  const { normal, unused } = TOKEN_TYPES;
  const types = ids.map((id) => (id < vocabSize ? normal : unused));
  return [
    ['tokenizer.ggml.model', text('gpt2')],
    ['tokenizer.ggml.pre', text('gpt-2')],
    ['tokenizer.ggml.tokens', { type: 'string[]', value: ids.map((id) => `<t${id}>`) }],
    ['tokenizer.ggml.token_type', { type: 'int32[]', value: types }],
    ['tokenizer.ggml.merges', { type: 'string[]', value: [] }],
    ['tokenizer.ggml.bos_token_id', uint(0)],
    ['tokenizer.ggml.eos_token_id', uint(0)],
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: false }],
  ];
}

const text = (value: string): GgufValue => ({ type: 'string', value });
const uint = (value: number): GgufValue => ({ type: 'uint32', value });
const float = (value: number): GgufValue => ({ type: 'float32', value });

/** @throws UnsupportedError with code UnsupportedModel. */
export function architectureOf(config: ModelConfig): GgufArchitecture {
  const { layers, finalNorm, hasHeadBias } = config;
  const kinds = new Set(layers.map(({ mixer }) => mixer.kind));
  const have = (...of: MixerConfig['kind'][]) => [...kinds].every((kind) => of.includes(kind));
  const mlps = layers.filter(({ mlp }) => mlp).length;
  const norms = [finalNorm, ...layers.map(({ norm }) => norm)];
  if (hasHeadBias) throw unsupported('no bias of the head', 'one');
  if (norms.some(({ kind, eps }) => kind !== 'rms' || eps !== finalNorm.eps)) {
    throw unsupported('RMS norms with one eps', 'others');
  }
  for (const [i, layer] of layers.entries()) checkLayer(layer, config, `layers.${i}`);
  if (new Set(layers.map(sizesKey)).size > kinds.size) {
    throw unsupported('layers of a kind that are all of one size', 'different ones');
  }
  if (mlps === 0 && kinds.size === 1 && have('mamba')) return 'mamba';
  if (mlps === 0 && kinds.size === 1 && have('mamba2')) return 'mamba2';
  if (mlps === layers.length && have('attention')) {
    const isRotated = layers.every(({ mixer }) => mixer.kind === 'attention' && mixer.rope);
    return isRotated ? 'llama' : 'granitehybrid';
  }
  if (mlps === layers.length && have('attention', 'mamba2')) return 'granitehybrid';
  throw unsupported(
    'Mamba or Mamba-2 layers without an MLP, or attention and Mamba-2 layers that all have one',
    `${[...kinds].join(', ')} with ${mlps} MLPs in ${layers.length} layers`,
  );
}

/** The same for layers of one kind and size. */
function sizesKey({ mixer, mlp }: LayerConfig): string {
  return JSON.stringify([mixer.kind, Object.entries(mixer).sort(), mlp]);
}

function checkLayer({ mixer, mlp, norm }: LayerConfig, { dModel }: ModelConfig, at: string): void {
  const expect = (holds: boolean, what: string) => {
    if (!holds) throw unsupported(`${at}: ${what}`, 'another');
  };
  expect(!mlp || (mlp.kind === 'swiglu' && !mlp.hasBias), 'a SwiGLU MLP without biases');
  switch (mixer.kind) {
    case 'attention': {
      const { rope, dConv, dParallelMlp, scale, headDim, hasQkvBias, hasOutBias } = mixer;
      expect(!dConv && !dParallelMlp && !hasQkvBias && !hasOutBias, 'plain attention, no biases');
      expect(scale === undefined, 'attention scaled by 1/√headDim');
      expect(!rope || rope.rotaryDim === headDim, 'rope of whole heads');
      return;
    }
    case 'mamba':
      expect(!mixer.hasBias && mixer.hasConvBias, 'a Mamba with a bias of the convolution only');
      expect(mixer.dInner === 2 * dModel, 'dInner = 2·dModel');
      return;
    case 'mamba2': {
      const { gatedNorm, nHeads, headDim, nGroups, dInner } = mixer;
      expect(!mixer.hasBias && mixer.hasConvBias, 'a Mamba-2 with a bias of the convolution only');
      expect(!mixer.hasDPerChannel && !mixer.dtLimit, 'D by heads, Δ without limits');
      expect(nHeads * headDim === dInner, 'no channels that bypass the recurrence');
      expect(
        gatedNorm?.groupSize === dInner / nGroups &&
          !gatedNorm.normBeforeGate &&
          gatedNorm.eps === norm.eps,
        'a norm by groups after the gate, with the eps of the others',
      );
      expect(!mlp || dInner === 2 * dModel, 'dInner = 2·dModel in a hybrid');
      return;
    }
    default:
      throw unsupported(`${at}: attention, Mamba or Mamba-2`, mixer.kind);
  }
}

function unsupported(expected: string, got: string): UnsupportedError {
  return new UnsupportedError(
    `gguf: expected ${expected}, got ${got}; llama.cpp has no such model`,
    'UnsupportedModel',
  );
}

/** The keys that llama.cpp reads, without the architecture before them. */
function sizesOf(config: ModelConfig, architecture: GgufArchitecture): [string, GgufValue][] {
  const { dModel, layers, vocabRows, finalNorm, contextLength = ENDLESS } = config;
  const find = <Kind extends MixerConfig['kind']>(kind: Kind) =>
    layers.find(({ mixer }) => mixer.kind === kind)?.mixer as
      | Extract<MixerConfig, { kind: Kind }>
      | undefined;
  const attention = find('attention');
  const ssm = find('mamba') ?? find('mamba2');
  const sizes: [string, GgufValue][] = [
    ['context_length', uint(contextLength)],
    ['embedding_length', uint(dModel)],
    ['block_count', uint(layers.length)],
    ['vocab_size', uint(vocabRows)],
    ['feed_forward_length', uint(layers[0]?.mlp?.dHidden ?? 0)],
    ['attention.head_count', uint(attention?.nHeads ?? 0)],
    ['attention.layer_norm_rms_epsilon', float(finalNorm.eps)],
  ];
  if (attention) {
    const kvHeads = layers.map(({ mixer }) => (mixer.kind === 'attention' ? mixer.nKvHeads : 0));
    sizes.push(
      // in a hybrid, a layer without such heads is one with a recurrence
      architecture === 'llama'
        ? ['attention.head_count_kv', uint(attention.nKvHeads)]
        : ['attention.head_count_kv', { type: 'uint32[]', value: kvHeads }],
      ['attention.key_length', uint(attention.headDim)],
      ['attention.value_length', uint(attention.headDim)],
      ['rope.dimension_count', uint(attention.headDim)],
      ['rope.freq_base', float(attention.rope?.theta ?? 10_000)],
      ...scalingOf(attention.rope?.scaling),
      // Granite's switch for rope
      ['rope.scaling.finetuned', { type: 'bool', value: attention.rope !== undefined }],
    );
  }
  if (ssm) {
    sizes.push(
      ['ssm.conv_kernel', uint(ssm.dConv)],
      ['ssm.inner_size', uint(ssm.dInner)],
      ['ssm.state_size', uint(ssm.dState)],
      // of Mamba-2 it is the number of heads
      ['ssm.time_step_rank', uint(ssm.kind === 'mamba' ? ssm.dtRank : ssm.nHeads)],
      ['ssm.group_count', uint(ssm.kind === 'mamba' ? 1 : ssm.nGroups)],
    );
  }
  return sizes;
}

/** Llama 3's stretched frequencies are a tensor instead. */
function scalingOf(scaling: RopeScaling | undefined): [string, GgufValue][] {
  if (scaling?.kind !== 'linear') return [];
  return [
    ['rope.scaling.type', text('linear')],
    ['rope.scaling.factor', float(scaling.factor)],
  ];
}
