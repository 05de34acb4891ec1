/** Configs as the published models have them: the inverse of families/, for what is written here. */

import type {
  AttentionConfig,
  LayerConfig,
  MambaInLlama2Config,
  MambaInLlamaConfig,
  MixerConfig,
  ModelConfig,
} from '../../reference/config.ts';
import { UnsupportedError } from '../../reference/errors.ts';
import type { RopeScaling } from '../../reference/rope.ts';
import { REWARD_ARCHITECTURE, type RewardDescription } from './config.ts';
import type { WrittenDtype } from './dtypes.ts';
import { roundUp } from './families/shared.ts';
import type { SchemeName } from './names.ts';

/** Tokens that begin and end a sequence. */
export interface SequenceTokens {
  readonly bosToken?: number;
  readonly eosTokens?: readonly number[];
}

/** What makes a Llama with a head `score`, (1, dModel), a reward model in its files. */
export interface RewardToWrite extends RewardDescription {
  /** What sequences of a batch are padded with; transformers refuses to score batches without it. */
  readonly padToken?: number;
}

/** A model's config files by name, and how its tensors are called. */
export interface WrittenConfig {
  readonly scheme: SchemeName;
  readonly title: string;
  readonly files: ReadonlyMap<string, object>;
}

/**
 * The config files of a model in the layout that is published for its mixers: Llama's, Cartesia's Llamba, or
 * Llama's with mamba_config.json for MambaInLlama. Says what that layout can; the caller reads it back and
 * compares.
 * @throws UnsupportedError with code UnsupportedModel when no layout has such layers, or a reward model of them.
 */
export function writtenConfig(
  config: ModelConfig,
  { reward, ...tokens }: SequenceTokens & { reward?: RewardToWrite },
  dtype: WrittenDtype,
): WrittenConfig {
  const kinds = [...new Set(config.layers.map(({ mixer }) => mixer.kind))];
  const have = (...of: MixerConfig['kind'][]) =>
    kinds.length > 0 && kinds.every((kind) => of.includes(kind));
  const known = { ...tokenFields(tokens), torch_dtype: dtype === 'F32' ? 'float32' : 'bfloat16' };
  const generation = tokens.bosToken !== undefined || (tokens.eosTokens ?? []).length > 0;
  const written = (scheme: SchemeName, title: string, files: Record<string, object>) => ({
    scheme,
    title,
    files: new Map([
      ...Object.entries(files),
      ...(generation ? ([['generation_config.json', tokenFields(tokens)]] as const) : []),
    ]),
  });
  if (have('attention')) {
    const fields = { ...llamaFields(config), ...known, ...(reward && rewardFields(reward)) };
    return written('llama', reward ? 'Llama reward model' : 'Llama', { 'config.json': fields });
  }
  if (reward) {
    throw new UnsupportedError(
      'writeModelFolder: expected a reward model with layers of attention only, got ' +
        `${kinds.join(', ') || 'none'}; no published layout has others`,
      'UnsupportedModel',
    );
  }
  if (have('discreteMamba2')) {
    const fields = { ...llambaFields(config), ...known };
    return written('llamba', 'Llamba', { 'config.json': fields });
  }
  if (have('attention', 'mambaInLlama') || have('attention', 'mambaInLlama2')) {
    return written('mambaInLlamaSplit', 'MambaInLlama', {
      'config.json': { ...llamaFields(config), ...known },
      'mamba_config.json': mambaFields(config),
    });
  }
  throw new UnsupportedError(
    'writeModelFolder: expected layers of attention, of Discrete Mamba-2, or of attention and one kind of ' +
      `MambaInLlama, got ${kinds.join(', ') || 'none'}; no published layout has them together`,
    'UnsupportedModel',
  );
}

function tokenFields({ bosToken, eosTokens = [] }: SequenceTokens) {
  const eos = eosTokens.length > 1 ? eosTokens : eosTokens[0];
  return { bos_token_id: bosToken ?? null, eos_token_id: eos ?? null };
}

function rewardFields({ stepToken, padToken }: RewardToWrite) {
  return {
    architectures: [REWARD_ARCHITECTURE],
    num_labels: 1,
    id2label: { 0: 'right' },
    label2id: { right: 0 },
    ...(padToken !== undefined && { pad_token_id: padToken }),
    ...(stepToken !== undefined && { step_token_id: stepToken }),
  };
}

type LayerWith<Mixer> = LayerConfig & { mixer: Mixer };

function firstWith<Kind extends MixerConfig['kind']>(
  { layers }: ModelConfig,
  ...kinds: Kind[]
): LayerWith<Extract<MixerConfig, { kind: Kind }>> | undefined {
  const found = layers.find(({ mixer }) => (kinds as MixerConfig['kind'][]).includes(mixer.kind));
  return found as LayerWith<Extract<MixerConfig, { kind: Kind }>> | undefined;
}

/** A Llama's config.json; of a model without attention, with heads that nothing uses. */
function llamaFields(config: ModelConfig): object {
  const layer = firstWith(config, 'attention') ?? config.layers[0];
  const { mixer, mlp } = layer;
  const heads = mixer.kind === 'attention' ? mixer : unusedHeads(mixer);
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_act: 'silu',
    attention_bias: heads.hasQkvBias,
    mlp_bias: mlp?.hasBias ?? false,
    vocab_size: config.vocabSize,
    hidden_size: config.dModel,
    intermediate_size: mlp?.dHidden,
    num_hidden_layers: config.layers.length,
    num_attention_heads: heads.nHeads,
    num_key_value_heads: heads.nKvHeads,
    head_dim: heads.headDim,
    max_position_embeddings: config.contextLength,
    rms_norm_eps: config.finalNorm.eps,
    rope_theta: heads.rope?.theta,
    rope_scaling: heads.rope?.scaling ? ropeScaling(heads.rope.scaling) : null,
    tie_word_embeddings: config.isTied,
  };
}

/** Heads as wide as a mixer's states, so that they are what its x, B and C come from. */
function unusedHeads(mixer: MixerConfig): Omit<AttentionConfig, 'kind'> {
  const { dXb, dState } = mixer as MambaInLlamaConfig | MambaInLlama2Config;
  const nKvHeads = dXb / dState;
  const nHeads = dInnerOf(mixer as MambaInLlamaConfig | MambaInLlama2Config) / dState;
  const headDim = roundUp(dState, 2); // rotary pairs, which nothing rotates
  return { nHeads, nKvHeads, headDim, hasQkvBias: false, hasOutBias: false };
}

function ropeScaling(scaling: RopeScaling): object {
  if (scaling.kind === 'linear') return { rope_type: 'linear', factor: scaling.factor };
  return {
    factor: scaling.factor,
    high_freq_factor: scaling.highFreqFactor,
    low_freq_factor: scaling.lowFreqFactor,
    original_max_position_embeddings: scaling.originalContext,
    rope_type: 'llama3',
  };
}

/** The multiples that publications pad vocabularies to, the usual one first. */
const PADDINGS = [8, 1, 16, 32, 64];

function llambaFields(config: ModelConfig): object {
  const { vocabSize, vocabRows, dModel, layers, isTied } = config;
  const { mixer, mlp } = firstWith(config, 'discreteMamba2') ?? {};
  const { nHeads = 1, headDim = 1, nGroups, dState, dConv, activation, hasBias } = mixer ?? {};
  return {
    model_type: 'llamba',
    vocab_size: vocabSize,
    tie_embeddings: isTied,
    // vocabRows is a multiple of itself
    pad_vocab_size_multiple:
      PADDINGS.find((multiple) => roundUp(vocabSize, multiple) === vocabRows) ?? vocabRows,
    lm_head_bias: config.hasHeadBias,
    d_model: dModel,
    n_layer: layers.length,
    resid_dropout: 0,
    norm_epsilon: config.finalNorm.eps,
    mlp_cfg: { intermediate_size: mlp?.dHidden, bias: mlp?.hasBias, act_fn: 'silu' },
    ssm_cfg: {
      d_state: dState,
      n_v_heads: nHeads,
      n_qk_heads: nGroups,
      expand: (nHeads * headDim) / dModel,
      chunk_size: 128,
      activation,
      bias: hasBias,
      ...unlessDefault({ d_conv: [dConv, 4], conv_bias: [mixer?.hasConvBias, true] }),
    },
  };
}

/** mamba_config.json. */
function mambaFields(config: ModelConfig): object {
  const layer = firstWith(config, 'mambaInLlama', 'mambaInLlama2');
  if (!layer) throw new TypeError('a layout of MambaInLlama is for models that have such layers');
  const { norm, mixer, mlp } = layer;
  const dInner = dInnerOf(mixer);
  return {
    d_model: config.dModel,
    ssm_cfg: {
      expand: dInner / config.dModel,
      d_state: mixer.dState,
      ...(mixer.kind === 'mambaInLlama'
        ? mambaOptions(mixer, config.dModel)
        : mamba2Options(mixer)),
    },
    rms_norm_eps: norm.eps,
    vocab_size: null,
    d_inner: dInner,
    d_xb: mixer.dXb,
    intermediate_size: mlp?.dHidden,
    hidden_act: 'silu',
    n_layer: config.layers.length,
    attn_layers: config.layers.flatMap((other, i) => (other.mixer.kind === 'attention' ? [i] : [])),
  };
}

function mambaOptions(mixer: MambaInLlamaConfig, dModel: number): object {
  return unlessDefault({
    d_conv: [mixer.dConv, 4],
    dt_rank: [mixer.dtRank, Math.ceil(dModel / 16)],
    repeat_kv_before_conv: [mixer.repeatsBeforeConv, true],
    proj_x_bias: [mixer.hasXBias, false],
    proj_z_bias: [mixer.hasZBias, false],
    out_proj_bias: [mixer.hasOutBias, false],
    conv_bias: [mixer.hasConvBias, true],
  });
}

function mamba2Options(mixer: MambaInLlama2Config): object {
  return {
    ngroups: mixer.nHeads,
    headdim: mixer.headDim,
    ...unlessDefault({
      d_conv: [mixer.dConv, 4],
      rmsnorm: [mixer.gatedNorm !== undefined, true],
      norm_before_gate: [mixer.gatedNorm?.normBeforeGate ?? false, false],
      dt_limit: [mixer.dtLimit, undefined],
      D_has_hdim: [mixer.hasDPerChannel, false],
      repeat_kv_before_conv: [mixer.repeatsBeforeConv, false],
      bias: [mixer.hasBias, false],
      conv_bias: [mixer.hasConvBias, true],
    }),
  };
}

function dInnerOf(mixer: MambaInLlamaConfig | MambaInLlama2Config): number {
  return mixer.kind === 'mambaInLlama' ? mixer.dInner : mixer.nHeads * mixer.headDim;
}

/** The options that differ from what they are when left out, as in the published files. */
function unlessDefault(options: Record<string, readonly [value: unknown, usual: unknown]>): object {
  return Object.fromEntries(
    Object.entries(options).flatMap(([name, [value, usual]]) =>
      value === usual ? [] : [[name, value]],
    ),
  );
}
