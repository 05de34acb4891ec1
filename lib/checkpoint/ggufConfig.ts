/** A GGUF file's metadata as a model's config: which of llama.cpp's architectures it is, and its sizes. */

import type { LayerConfig, MixerConfig, ModelConfig } from '../../reference/config.ts';
import type { RopeScaling } from '../../reference/rope.ts';
import type { ModelDescription } from './config.ts';
import { CheckpointError } from './errors.ts';
import { rms, swiglu } from './families/shared.ts';
import { Fields } from './fields.ts';
import type { GgufHeader } from './ggufHeader.ts';
import { decimalOf, jsonOf, tokenIds, usedTokens } from './ggufMetadata.ts';
import type { GgufArchitecture } from './ggufModel.ts';
import type { Json } from './json.ts';

const ARCHITECTURES: readonly GgufArchitecture[] = ['mamba', 'mamba2', 'llama', 'granitehybrid'];

/**
 * What a file's metadata say of its model, and the shapes in its header where they say nothing.
 * @param ropeScaling what `rope_freqs.weight` amounts to, where the file has it.
 * @throws CheckpointError with code UnsupportedModel for another architecture, or parts that no model here has;
 *   ConfigRange, ConfigSchema.
 */
export function describeGguf(
  { metadata, tensors }: GgufHeader,
  file: string,
  ropeScaling?: RopeScaling,
): ModelDescription {
  const architecture = architectureOf(metadata, file);
  const fields = new Fields(jsonOf(metadata, `${architecture}.`), file, `${architecture}.`);
  const sizes = new Sizes(fields, tensors, architecture, ropeScaling);
  const layers = sizes.layers();
  const vocabRows = tensors.get('token_embd.weight')?.shape[0] ?? fields.integer('vocab_size');
  const config: ModelConfig = {
    vocabSize: Math.min(vocabRows, usedTokens(metadata) ?? vocabRows),
    vocabRows,
    dModel: sizes.dModel,
    layers,
    finalNorm: sizes.norm(),
    isTied: !tensors.has('output.weight'),
    hasHeadBias: false,
    // nothing limits a recurrence: what files of Mamba say is a convention
    ...(layers.some(({ mixer }) => mixer.kind === 'attention') && {
      contextLength: fields.integer('context_length', { max: 2 ** 31 }),
    }),
  };
  const tokens = new Fields(jsonOf(metadata, 'tokenizer.ggml.'), file, 'tokenizer.ggml.');
  const [bosToken] = tokenIds(tokens, ['bos_token_id'], vocabRows);
  const eosTokens = tokenIds(tokens, ['eos_token_id', 'eot_token_id', 'eom_token_id'], vocabRows);
  return {
    family: architecture,
    scheme: 'gguf',
    config,
    ...(bosToken !== undefined && { bosToken }),
    eosTokens: [...new Set(eosTokens)],
    warnings: [],
  };
}

/** @throws CheckpointError with code UnsupportedModel, or ConfigSchema for a file without one. */
export function architectureOf(metadata: GgufHeader['metadata'], file: string): GgufArchitecture {
  const field = metadata.get('general.architecture');
  if (!field) throw new CheckpointError('ConfigSchema', file, 'general.architecture: is missing');
  const architecture = ARCHITECTURES.find((name) => name === field.value);
  if (architecture) return architecture;
  throw new CheckpointError(
    'UnsupportedModel',
    file,
    `general.architecture: expected ${ARCHITECTURES.join(', ')}, got ${String(field.value).slice(0, 40)}`,
  );
}

/** Reads the sizes of an architecture's layers. */
class Sizes {
  readonly dModel: number;
  readonly #fields: Fields;
  readonly #tensors: GgufHeader['tensors'];
  readonly #architecture: GgufArchitecture;
  readonly #ropeScaling: RopeScaling | undefined;

  constructor(
    fields: Fields,
    tensors: GgufHeader['tensors'],
    architecture: GgufArchitecture,
    ropeScaling: RopeScaling | undefined,
  ) {
    this.#fields = fields;
    this.#tensors = tensors;
    this.#architecture = architecture;
    this.#ropeScaling = ropeScaling;
    this.dModel = fields.integer('embedding_length');
  }

  norm() {
    return rms(this.#fields.number('attention.layer_norm_rms_epsilon'));
  }

  layers(): LayerConfig[] {
    // every layer has tensors of its own
    const nLayers = this.#fields.integer('block_count', { max: Math.max(1, this.#tensors.size) });
    this.#refuseExtras();
    const isPlain = this.#architecture === 'mamba' || this.#architecture === 'mamba2';
    const hidden = isPlain ? [] : this.#perLayer('feed_forward_length', nLayers, 1);
    const kvHeads = isPlain ? [] : this.#kvHeads(nLayers);
    const mixers = Array.from({ length: nLayers }, (_, i): MixerConfig => {
      if (this.#architecture === 'mamba') return this.#mamba(i);
      if (this.#architecture === 'mamba2' || kvHeads[i] === 0) return this.#mamba2(i);
      return this.#attention(i, nLayers, kvHeads[i]);
    });
    const norm = this.norm();
    return mixers.map((mixer, i) => ({
      norm,
      mixer,
      ...(!isPlain && { mlp: swiglu(hidden[i], this.#has(i, 'ffn_gate.bias')) }),
    }));
  }

  #has(layer: number, name: string): boolean {
    return this.#tensors.has(`blk.${layer}.${name}`);
  }

  /** Parts of llama.cpp's models that no config here can say. */
  #refuseExtras(): void {
    const fields = this.#fields;
    if (fields.integer('expert_count', { min: 0, default: 0 }) > 0) {
      fields.refuse('expert_count', 'expected 0: mixtures of experts are not supported');
    }
    if (fields.boolean('ssm.dt_b_c_rms', false)) {
      fields.refuse('ssm.dt_b_c_rms', 'expected false: norms of Δ, B and C are not supported');
    }
    // Granite's; 0 stands for none
    for (const name of ['embedding_scale', 'residual_scale', 'logit_scale']) {
      const scale = fields.number(name, { min: 0, default: 1 });
      if (scale !== 0 && scale !== 1) {
        fields.refuse(name, `expected 1, got ${scale}: scales of Granite are not supported`);
      }
    }
  }

  /** One whole number for all layers, or one for each. */
  #perLayer(name: string, nLayers: number, min: number): number[] {
    const value = this.#fields.raw(name);
    if (!Array.isArray(value)) {
      return Array.from({ length: nLayers }, () => this.#fields.integer(name, { min }));
    }
    const isSize = (n: Json) =>
      Number.isInteger(n) && (n as number) >= min && (n as number) < 2 ** 24;
    if (value.length !== nLayers || !value.every(isSize)) {
      this.#fields.refuse(name, `expected ${nLayers} whole numbers ≥ ${min}, one for each layer`);
    }
    return value as number[];
  }

  #kvHeads(nLayers: number): number[] {
    const name = 'attention.head_count_kv';
    if (!this.#fields.has(name)) return this.#perLayer('attention.head_count', nLayers, 1);
    // in a hybrid, a layer without such heads is one with a recurrence
    return this.#perLayer(name, nLayers, this.#architecture === 'granitehybrid' ? 0 : 1);
  }

  #mamba(layer: number): MixerConfig {
    const fields = this.#fields;
    return {
      kind: 'mamba',
      dConv: fields.integer('ssm.conv_kernel'),
      dInner: fields.integer('ssm.inner_size'),
      dState: fields.integer('ssm.state_size'),
      dtRank: fields.integer('ssm.time_step_rank'),
      hasBias: false,
      hasConvBias: this.#has(layer, 'ssm_conv1d.bias'),
    };
  }

  #mamba2(layer: number): MixerConfig {
    const fields = this.#fields;
    const dConv = fields.integer('ssm.conv_kernel');
    const dInner = fields.integer('ssm.inner_size');
    const dState = fields.integer('ssm.state_size');
    // of Mamba-2 it is the number of heads
    const nHeads = fields.integer('ssm.time_step_rank');
    const nGroups = fields.integer('ssm.group_count');
    if (dInner % nHeads !== 0) {
      fields.refuse(
        'ssm.time_step_rank',
        `expected a divisor of ${dInner} channels, got ${nHeads}`,
      );
    }
    if (nHeads % nGroups !== 0 || dInner % nGroups !== 0) {
      fields.refuse('ssm.group_count', `expected a divisor of ${nHeads} heads, got ${nGroups}`);
    }
    return {
      kind: 'mamba2',
      ...{ dInner, nHeads, headDim: dInner / nHeads, nGroups, dState, dConv },
      gatedNorm: { eps: this.norm().eps, groupSize: dInner / nGroups, normBeforeGate: false },
      hasDPerChannel: false,
      hasBias: false,
      hasConvBias: this.#has(layer, 'ssm_conv1d.bias'),
    };
  }

  #attention(layer: number, nLayers: number, nKvHeads: number): MixerConfig {
    const fields = this.#fields;
    const nHeads = this.#perLayer('attention.head_count', nLayers, 1)[layer];
    if (nHeads % nKvHeads !== 0) {
      fields.refuse(
        'attention.head_count_kv',
        `expected a divisor of ${nHeads} heads, got ${nKvHeads}`,
      );
    }
    if (!fields.has('attention.key_length') && this.dModel % nHeads !== 0) {
      fields.refuse('attention.head_count', `expected a divisor of ${this.dModel}, got ${nHeads}`);
    }
    const headDim = fields.integer('attention.key_length', { default: this.dModel / nHeads });
    const valueDim = fields.integer('attention.value_length', { default: headDim });
    if (valueDim !== headDim) {
      fields.refuse(
        'attention.value_length',
        `expected that of the keys, ${headDim}, got ${valueDim}`,
      );
    }
    // 0 stands for 1/√headDim
    const scale = fields.number('attention.scale', { min: 0, default: 0 });
    return {
      kind: 'attention',
      ...{ nHeads, nKvHeads, headDim },
      ...(this.#isRotated() && { rope: this.#rope(headDim) }),
      ...(scale > 0 && scale !== decimalOf(Math.fround(1 / Math.sqrt(headDim))) && { scale }),
      hasQkvBias: this.#has(layer, 'attn_q.bias'),
      hasOutBias: this.#has(layer, 'attn_output.bias'),
    };
  }

  /** Granite's switch for rope. */
  #isRotated(): boolean {
    return this.#architecture === 'llama' || this.#fields.boolean('rope.scaling.finetuned', true);
  }

  #rope(headDim: number) {
    const fields = this.#fields;
    const rotaryDim = fields.integer('rope.dimension_count', { default: headDim });
    if (rotaryDim !== headDim || headDim % 2 !== 0) {
      fields.refuse(
        'rope.dimension_count',
        `expected all of a head's channels, an even number, got ${rotaryDim} of ${headDim}`,
      );
    }
    const kind = fields.choice('rope.scaling.type', ['none', 'linear'], 'none');
    const old = fields.number('rope.scale_linear', { default: 1 });
    const factor = kind === 'linear' ? fields.number('rope.scaling.factor') : old;
    const linear = factor === 1 ? undefined : ({ kind: 'linear', factor } as const);
    if (linear && this.#ropeScaling) {
      fields.refuse('rope.scaling.type', 'expected none beside the factors of rope_freqs.weight');
    }
    const scaling = this.#ropeScaling ?? linear;
    const theta = fields.number('rope.freq_base', { default: 10_000 });
    return { rotaryDim, theta, pairing: 'half' as const, ...(scaling && { scaling }) };
  }
}
