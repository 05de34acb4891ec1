/** A tokenizer.json as the vocabulary of a GGUF file: the way back from ggufTokenizer.ts. */

import { CheckpointError } from '../checkpoint/errors.ts';
import type { GgufValue } from '../checkpoint/gguf.ts';
import { TOKEN_TYPES } from '../checkpoint/ggufMetadata.ts';
import { type Json, type JsonObject, parseJson } from '../checkpoint/json.ts';
import { preTokenizerNamed } from './preTokenizers.ts';
import { TOKENIZER_FILE } from './tokenizer.ts';
import { checkTokenizer } from './validate.ts';

export interface GgufVocabularyOptions {
  /** Rows of the model's embedding: the vocabulary is padded to as many. */
  readonly vocabRows: number;
  /** Jinja, where the model has one. */
  readonly chatTemplate?: string;
}

/**
 * The metadata that say a tokenizer: byte-level BPE whose pre-tokenizer llama.cpp has a name for, or SentencePiece's
 * byte pairs. llama.cpp merges any two of SentencePiece's tokens that make a third, not only those listed as merges.
 * @param tokenizer bytes of a tokenizer.json.
 * @throws CheckpointError with code UnsupportedTokenizer for one that llama.cpp has not; as parseTokenizer.
 */
export function ggufVocabulary(
  tokenizer: Uint8Array,
  { vocabRows, chatTemplate }: GgufVocabularyOptions,
): Map<string, GgufValue> {
  const file = TOKENIZER_FILE;
  const json = parseJson(tokenizer, { file, syntax: 'TokenizerJson', hasExactIntegers: true });
  const ids = checkTokenizer(json, file);
  const root = json as JsonObject;
  const model = root.get('model') as JsonObject;
  const refuse = (problem: string) => new CheckpointError('UnsupportedTokenizer', file, problem);
  const type = model.get('type') ?? 'BPE';
  if (type !== 'BPE') throw refuse(`model.type: expected BPE for a GGUF file, got ${String(type)}`);
  if ([...ids.values()].some((id) => id >= vocabRows)) {
    throw refuse(`model.vocab: expected ids below ${vocabRows}, the rows of the embedding`);
  }
  const isSpm = model.get('byte_fallback') === true;
  const vocabulary = tokensOf(root, ids, vocabRows, isSpm);
  const merges = (model.get('merges') as Json[]).map((merge) =>
    typeof merge === 'string' ? merge.split(' ') : (merge as string[]),
  );
  return new Map<string, GgufValue>([
    ['tokenizer.ggml.model', { type: 'string', value: isSpm ? 'llama' : 'gpt2' }],
    ['tokenizer.ggml.tokens', { type: 'string[]', value: vocabulary.tokens }],
    ['tokenizer.ggml.token_type', { type: 'int32[]', value: vocabulary.types }],
    ...(isSpm
      ? spmFields(root, vocabulary.tokens, merges, refuse)
      : byteLevelFields(root, merges, refuse)),
    ...templateFields(root.get('post_processor') ?? null, ids, refuse),
    ...(chatTemplate === undefined
      ? []
      : ([['tokenizer.chat_template', { type: 'string', value: chatTemplate }]] as const)),
  ]);
}

type Refuse = (problem: string) => CheckpointError;
type Field = readonly [string, GgufValue];

function tokensOf(
  root: JsonObject,
  ids: ReadonlyMap<string, number>,
  vocabRows: number,
  isSpm: boolean,
): { tokens: string[]; types: number[] } {
  const tokens = Array.from({ length: vocabRows }, (_, id) => `[PAD${id}]`);
  const types = tokens.map(() => TOKEN_TYPES.unused);
  for (const [token, id] of ids) {
    tokens[id] = token;
    const isByte = isSpm && /^<0x[0-9A-F]{2}>$/.test(token);
    types[id] = isByte ? TOKEN_TYPES.byte : TOKEN_TYPES.normal;
  }
  const unknown = (root.get('model') as JsonObject).get('unk_token');
  for (const item of (root.get('added_tokens') ?? []) as JsonObject[]) {
    const id = ids.get(item.get('content') as string) as number;
    const { control, userDefined } = TOKEN_TYPES;
    types[id] = item.get('special') === true ? control : userDefined;
  }
  if (typeof unknown === 'string') types[ids.get(unknown) ?? 0] = TOKEN_TYPES.unknown;
  return { tokens, types };
}

function byteLevelFields(root: JsonObject, merges: readonly string[][], refuse: Refuse): Field[] {
  const model = root.get('model') as JsonObject;
  const pre = preTokenizerNamed(
    root.get('pre_tokenizer') ?? null,
    model.get('ignore_merges') === true,
  );
  if (!pre) throw refuse('pre_tokenizer: llama.cpp has none that cuts texts like this');
  if ((root.get('normalizer') ?? null) !== null) {
    throw refuse('normalizer: expected none in a byte-level tokenizer for a GGUF file');
  }
  return [
    ['tokenizer.ggml.pre', { type: 'string', value: pre }],
    ['tokenizer.ggml.merges', { type: 'string[]', value: merges.map((pair) => pair.join(' ')) }],
  ];
}

function spmFields(
  root: JsonObject,
  tokens: readonly string[],
  merges: readonly string[][],
  refuse: Refuse,
): Field[] {
  const steps = stepsOf(root.get('normalizer') ?? null, 'normalizers');
  const kinds = steps.map((step) => step.get('type')).join();
  if (!/^(Prepend,)?Replace$/.test(kinds) || root.get('pre_tokenizer')) {
    throw refuse(
      'normalizer: expected Prepend and Replace, and no pre-tokenizer, as Llama 2 has them',
    );
  }
  const rank = new Map<string, number>();
  merges.forEach((pair, i) => {
    const made = pair.join('');
    if (!rank.has(made)) rank.set(made, i);
  });
  // what nothing is merged into comes after all that something is
  const score = (token: string, id: number) => -(rank.get(token) ?? merges.length + id);
  return [
    ['tokenizer.ggml.pre', { type: 'string', value: 'default' }],
    ['tokenizer.ggml.scores', { type: 'float32[]', value: tokens.map(score) }],
    ['tokenizer.ggml.add_space_prefix', { type: 'bool', value: kinds.startsWith('Prepend') }],
    ...unknownField(root, tokens),
  ];
}

function unknownField(root: JsonObject, tokens: readonly string[]): Field[] {
  const unknown = (root.get('model') as JsonObject).get('unk_token');
  const id = typeof unknown === 'string' ? tokens.indexOf(unknown) : -1;
  return id < 0 ? [] : [['tokenizer.ggml.unknown_token_id', { type: 'uint32', value: id }]];
}

/** What is put around a text: a begin token, an end token, each or none. */
function templateFields(
  processor: Json,
  ids: ReadonlyMap<string, number>,
  refuse: Refuse,
): Field[] {
  const steps = stepsOf(processor, 'processors');
  const templates = steps.filter((step) => step.get('type') === 'TemplateProcessing');
  const isKnown = steps.every((step) =>
    /^(TemplateProcessing|ByteLevel)$/.test(String(step.get('type'))),
  );
  const single = (templates[0]?.get('single') ?? []) as JsonObject[];
  const names = single.map((piece) => {
    const special = piece.get('SpecialToken');
    return special instanceof Map ? String(special.get('id')) : '';
  });
  const text = names.indexOf('');
  const [before, after] = text < 0 ? [[], []] : [names.slice(0, text), names.slice(text + 1)];
  if (!isKnown || templates.length > 1 || before.length > 1 || after.length > 1) {
    throw refuse('post_processor: expected at most one token before a text and one after it');
  }
  const field = (name: string, [token]: string[]): Field[] => [
    [`tokenizer.ggml.add_${name}_token`, { type: 'bool', value: token !== undefined }],
    ...(token === undefined
      ? []
      : ([
          [`tokenizer.ggml.${name}_token_id`, { type: 'uint32', value: ids.get(token) ?? 0 }],
        ] as const)),
  ];
  return [...field('bos', before), ...field('eos', after)];
}

/** The steps of a part that may be a Sequence, one, or none. */
function stepsOf(json: Json, list: string): JsonObject[] {
  if (!(json instanceof Map)) return [];
  return json.get('type') === 'Sequence' ? (json.get(list) as JsonObject[]) : [json];
}
