/** A model's config files: which family it is, what its layers are, where sequences begin and end. */

import type { ModelConfig } from '../../reference/config.ts';
import { CheckpointError } from './errors.ts';
import { readLlama, readMamba, readMamba2 } from './families/huggingFace.ts';
import { readLlamba } from './families/llamba.ts';
import { readHybridMamba, readMambaInLlama } from './families/mambaInLlama.ts';
import type { Family } from './families/shared.ts';
import { readStateSpaces } from './families/stateSpaces.ts';
import { Fields } from './fields.ts';
import { type ModelFiles, readWhole } from './files.ts';
import { type JsonObject, parseJson } from './json.ts';
import { mambaInLlamaScheme, type SchemeName } from './names.ts';

/** All that config.json and its neighbours say. */
export interface ModelDescription {
  family: Family;
  config: ModelConfig;
  /** How the checkpoint names its tensors. */
  scheme: SchemeName;
  /** Token that begins a sequence, where the config names one. */
  bosToken?: number;
  /** Tokens that end a sequence: config.json's, or generation_config.json's where it names some. */
  eosTokens: number[];
  /** Things in the files that were understood and not followed. */
  warnings: string[];
  /** Of a model that scores sequences instead of continuing them. */
  reward?: RewardDescription;
}

/** What a reward model's config says besides. Its head is the weight `score`, (1, dModel). */
export interface RewardDescription {
  /** Token that ends a step of a chain; absent where only whole chains are scored. */
  readonly stepToken?: number;
}

/** Hugging Face's name of a Llama with a head of one row per label at the last token. */
export const REWARD_ARCHITECTURE = 'LlamaForSequenceClassification';

const MAX_CONFIG_BYTES = 10_000_000;

/** A config file as an object. @throws CheckpointError with code ConfigJson, ConfigSchema, … */
export async function readConfigObject(files: ModelFiles, file: string): Promise<JsonObject> {
  const bytes = await readWhole(files, file, MAX_CONFIG_BYTES);
  const rules = {
    file,
    syntax: 'ConfigJson',
    allowsNonFinite: true,
    refusesUnsafeKeys: true,
  } as const;
  const json = parseJson(bytes, rules);
  if (!(json instanceof Map)) throw new CheckpointError('ConfigSchema', file, 'expected an object');
  return json;
}

/**
 * Reads config.json, mamba_config.json and generation_config.json.
 * @param tensorNames names in the checkpoint, where there is one: MambaInLlama's naming decides whether its
 *   attention follows rope_scaling.
 * @throws CheckpointError for a file that is damaged, out of range, contradictory or of an unknown family.
 */
export async function readDescription(
  files: ModelFiles,
  tensorNames: Iterable<string> = [],
): Promise<ModelDescription> {
  const names = await files.list();
  const fields = new Fields(await readConfigObject(files, 'config.json'), 'config.json');
  const warnings: string[] = [];
  if (fields.has('auto_map')) {
    warnings.push('config.json: auto_map names code to be run; it is ignored');
  }
  if (fields.has('quantization_config')) {
    throw new CheckpointError(
      'UnsupportedModel',
      'config.json',
      'quantization_config: quantised weights cannot be read yet',
    );
  }
  const mambaFields = names.includes('mamba_config.json')
    ? new Fields(await readConfigObject(files, 'mamba_config.json'), 'mamba_config.json')
    : undefined;
  const read = readFamily(fields, mambaFields, mambaInLlamaScheme(tensorNames));
  const reward = readReward(fields, read);
  // its head scores: there is none for logits, and the embedding may stand in its place
  const model = reward ? { ...read, config: { ...read.config, isTied: true } } : read;
  const eos = readTokens(fields, 'eos_token_id', model.config);
  const bos = readTokens(fields, 'bos_token_id', model.config);
  const generation = names.includes('generation_config.json')
    ? new Fields(await readConfigObject(files, 'generation_config.json'), 'generation_config.json')
    : undefined;
  const generationEos = generation ? readTokens(generation, 'eos_token_id', model.config) : [];
  return {
    ...model,
    ...(bos.length > 0 && { bosToken: bos[0] }),
    eosTokens: generationEos.length > 0 ? generationEos : eos,
    warnings,
    ...(reward && { reward }),
  };
}

type FamilyModel = Pick<ModelDescription, 'family' | 'config' | 'scheme'>;

function readFamily(
  fields: Fields,
  mambaFields: Fields | undefined,
  mambaScheme: SchemeName,
): FamilyModel {
  const type = fields.raw('model_type');
  if (type === 'llama' && mambaFields) {
    return mambaInLlama(readMambaInLlama(fields, mambaFields), mambaScheme);
  }
  if (type === 'hybrid_mamba') return mambaInLlama(readHybridMamba(fields), mambaScheme);
  if (type === 'llama') return { family: 'llama', scheme: 'llama', config: readLlama(fields) };
  if (type === 'llamba') return { family: 'llamba', scheme: 'llamba', config: readLlamba(fields) };
  if (fields.has('d_model') && fields.has('n_layer')) {
    const config = readStateSpaces(fields);
    return { family: stateSpacesFamily(config), scheme: 'stateSpaces', config };
  }
  if (type === 'mamba') {
    return { family: 'mamba', scheme: 'huggingFaceMamba', config: readMamba(fields) };
  }
  if (type === 'mamba2') {
    return { family: 'mamba2', scheme: 'huggingFaceMamba', config: readMamba2(fields) };
  }
  throw new CheckpointError(
    'UnsupportedModel',
    fields.file,
    `model_type: expected mamba, mamba2, llama, llamba or a state-spaces config, got ${String(type)}`,
  );
}

function stateSpacesFamily(config: ModelConfig): Family {
  const kinds = new Set(config.layers.map((layer) => layer.mixer.kind));
  if (kinds.has('attention')) return 'mamba2-attention';
  return kinds.has('mamba') ? 'mamba' : 'mamba2';
}

function mambaInLlama(config: ModelConfig, scheme: SchemeName): FamilyModel {
  const isMamba2 = config.layers.some((layer) => layer.mixer.kind === 'mambaInLlama2');
  const family = isMamba2 ? 'mambainllama2' : 'mambainllama';
  return { family, scheme, config: scheme === 'm1' ? withoutRopeScaling(config) : config };
}

/** Checkpoints with fused attention run on mamba_ssm's MHA, which knows theta but no scaling. */
function withoutRopeScaling(config: ModelConfig): ModelConfig {
  return {
    ...config,
    layers: config.layers.map((layer) => {
      const { mixer } = layer;
      if (mixer.kind !== 'attention' || !mixer.rope?.scaling) return layer;
      const { rotaryDim, theta, pairing } = mixer.rope;
      return { ...layer, mixer: { ...mixer, rope: { rotaryDim, theta, pairing } } };
    }),
  };
}

/** What a classifier's config says; undefined for a language model. */
function readReward(
  fields: Fields,
  { config, family }: FamilyModel,
): RewardDescription | undefined {
  const architectures = fields.raw('architectures') ?? [];
  const [name] = Array.isArray(architectures) ? architectures : [];
  if (typeof name !== 'string' || !/For(Sequence|Token)Classification$/.test(name))
    return undefined;
  const refuse = (problem: string) => new CheckpointError('UnsupportedModel', fields.file, problem);
  if (name !== REWARD_ARCHITECTURE || family !== 'llama') {
    throw refuse(`architectures: expected ${REWARD_ARCHITECTURE} of all classifiers, got ${name}`);
  }
  // transformers writes the labels' names in place of their number, and means two where it writes neither
  const names = fields.raw('id2label');
  const labels = names instanceof Map ? names.size : fields.integer('num_labels', { default: 2 });
  if (labels !== 1) {
    throw refuse(`num_labels: expected 1, the score of a reward model, got ${labels}`);
  }
  const [stepToken] = readTokens(fields, 'step_token_id', config);
  return stepToken === undefined ? {} : { stepToken };
}

/** One token id or a list of them, each inside the vocabulary. */
function readTokens(fields: Fields, name: string, config: ModelConfig): number[] {
  const value = fields.raw(name) ?? [];
  const tokens = Array.isArray(value) ? value : [value];
  for (const token of tokens) {
    const isId = typeof token === 'number' && Number.isInteger(token) && token >= 0;
    if (!isId || token >= config.vocabRows) {
      fields.refuse(name, `expected token ids below ${config.vocabRows}, got ${String(token)}`);
    }
  }
  return tokens as number[];
}
