/** A GGUF file's tokenizer as the tokenizer.json that would do the same. */

import { CheckpointError } from '../checkpoint/errors.ts';
import type { GgufHeader } from '../checkpoint/ggufHeader.ts';
import { TOKEN_TYPES } from '../checkpoint/ggufMetadata.ts';
import { type Json, JsonInteger, type JsonObject } from '../checkpoint/json.ts';
import { type ChatTemplate, chatTemplateOf } from './chatTemplate.ts';
import { type GgufVocabulary, vocabularyOf } from './ggufVocabulary.ts';
import { preTokenizerOf, takesWholeWords } from './preTokenizers.ts';
import { mergesByScore } from './spmMerges.ts';
import { type Tokenizer, tokenizerFrom } from './tokenizer.ts';

/** The texts of a GGUF file. */
export interface GgufText {
  readonly tokenizer?: Tokenizer;
  readonly chatTemplate?: ChatTemplate;
  /** Why there is no tokenizer, where there might be one. */
  readonly warnings: readonly string[];
}

const object = (entries: Record<string, Json>): JsonObject => new Map(Object.entries(entries));
const integer = (value: number) => new JsonInteger(BigInt(value));

/** Of the printable ASCII characters and the space, what byte-level vocabularies write. */
const LETTERS = ['Ġ', ...Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i))];

/**
 * The tokenizer and the chat template of a file. Where the tokenizer is of a kind that is not known here there is
 * none, and a warning.
 * @throws CheckpointError with code TokenizerSchema for one that is damaged, ChatTemplate.
 */
export function readGgufText(metadata: GgufHeader['metadata'], file: string): GgufText {
  const vocabulary = vocabularyOf(metadata, file);
  if (!vocabulary) return { warnings: [] };
  const chatTemplate = templateOf(vocabulary, file);
  try {
    const tokenizer = tokenizerFrom(definitionOf(vocabulary, file), file);
    return { tokenizer, ...(chatTemplate && { chatTemplate }), warnings: [] };
  } catch (error) {
    const isUnknown = error instanceof CheckpointError && error.code === 'UnsupportedTokenizer';
    if (!isUnknown) throw error;
    const warning = `${error.message}; it is ignored, give token ids`;
    return { ...(chatTemplate && { chatTemplate }), warnings: [warning] };
  }
}

function templateOf(vocabulary: GgufVocabulary, file: string): ChatTemplate | undefined {
  const { chatTemplate, tokens, bos, eos } = vocabulary;
  if (chatTemplate === undefined) return undefined;
  const config = new Map<string, Json>([['chat_template', chatTemplate]]);
  if (bos !== undefined) config.set('bos_token', tokens[bos]);
  if (eos !== undefined) config.set('eos_token', tokens[eos]);
  return chatTemplateOf(config, file);
}

/** A tokenizer.json. @throws CheckpointError with code UnsupportedTokenizer. */
function definitionOf(vocabulary: GgufVocabulary, file: string): Json {
  const refuse = (problem: string) => new CheckpointError('UnsupportedTokenizer', file, problem);
  const { model, tokens } = vocabulary;
  if (new Set(tokens).size !== tokens.length) {
    throw refuse('tokenizer.ggml.tokens: expected every token once, got some twice');
  }
  if (model === 'gpt2') return byteLevelDefinition(vocabulary, refuse);
  if (model === 'llama') return spmDefinition(vocabulary, refuse);
  throw refuse(`tokenizer.ggml.model: expected gpt2 or llama, got ${model.slice(0, 40)}`);
}

type Refuse = (problem: string) => CheckpointError;

function byteLevelDefinition(vocabulary: GgufVocabulary, refuse: Refuse): Json {
  const { preTokenizer, merges, addsBos, addsSpace, tokens } = vocabulary;
  const cut = preTokenizerOf(preTokenizer);
  if (!cut) {
    throw refuse(`tokenizer.ggml.pre: "${preTokenizer.slice(0, 40)}" is not known here`);
  }
  if (addsSpace) throw refuse('tokenizer.ggml.add_space_prefix: expected false of a gpt2');
  const known = new Set(tokens);
  const missing = LETTERS.filter((letter) => !known.has(letter));
  if (missing.length > 0) {
    throw refuse(
      `tokenizer.ggml.tokens: lacks ${missing.length} of the letters; are they made up?`,
    );
  }
  const isWholeWords = takesWholeWords(preTokenizer);
  return object({
    added_tokens: addedTokens(vocabulary),
    normalizer: null,
    pre_tokenizer: cut,
    post_processor: template(vocabulary, addsBos ?? isWholeWords),
    decoder: object({
      type: 'ByteLevel',
      add_prefix_space: true,
      trim_offsets: true,
      use_regex: true,
    }),
    model: object({
      type: 'BPE',
      vocab: wordsOf(vocabulary),
      merges: [...merges],
      ignore_merges: isWholeWords,
    }),
  });
}

/** SentencePiece's byte pairs: spaces are ▁, pairs are merged by the score of what they make, bytes stand in. */
function spmDefinition(vocabulary: GgufVocabulary, refuse: Refuse): Json {
  const { tokens, types, scores, unknown = 0, addsBos = true, addsSpace = true } = vocabulary;
  if (!scores) throw refuse('tokenizer.ggml.scores: expected one for each token, got none');
  const normalizers = [
    ...(addsSpace ? [object({ type: 'Prepend', prepend: '▁' })] : []),
    object({ type: 'Replace', pattern: object({ String: ' ' }), content: '▁' }),
  ];
  const decoders = [
    object({ type: 'Replace', pattern: object({ String: '▁' }), content: ' ' }),
    object({ type: 'ByteFallback' }),
    object({ type: 'Fuse' }),
    ...(addsSpace
      ? [object({ type: 'Strip', content: ' ', start: integer(1), stop: integer(0) })]
      : []),
  ];
  const isMerged = (id: number) => types[id] === TOKEN_TYPES.normal;
  return object({
    added_tokens: addedTokens(vocabulary),
    normalizer: object({ type: 'Sequence', normalizers }),
    pre_tokenizer: null,
    post_processor: template(vocabulary, addsBos),
    decoder: object({ type: 'Sequence', decoders }),
    model: object({
      type: 'BPE',
      unk_token: tokens[unknown],
      fuse_unk: true,
      byte_fallback: true,
      vocab: wordsOf(vocabulary),
      merges: mergesByScore(tokens, scores, isMerged, refuse),
    }),
  });
}

/** Tokens that words are made of, with their ids: all but control tokens and what pads the vocabulary. */
function wordsOf({ tokens, types }: GgufVocabulary): JsonObject {
  const vocab = new Map<string, Json>();
  tokens.forEach((token, id) => {
    const { control, unused } = TOKEN_TYPES;
    if (types[id] !== control && types[id] !== unused) vocab.set(token, integer(id));
  });
  return vocab;
}

/** Tokens that are found in a text before it is cut: control tokens, which decode to nothing, and users' own. */
function addedTokens({ tokens, types }: GgufVocabulary): Json[] {
  const { control, unknown, userDefined } = TOKEN_TYPES;
  return tokens.flatMap((content, id) => {
    const isSpecial = types[id] === control || types[id] === unknown;
    if (content === '' || (!isSpecial && types[id] !== userDefined)) return [];
    const rules = { single_word: false, lstrip: false, rstrip: false, normalized: false };
    return [object({ id: integer(id), content, special: isSpecial, ...rules })];
  });
}

/** What is put around a text. */
function template({ tokens, bos, eos, addsEos }: GgufVocabulary, addsBos: boolean): Json {
  const around = (id: number | undefined, isAdded: boolean | undefined) =>
    isAdded && id !== undefined ? [id] : [];
  const [before, after] = [around(bos, addsBos), around(eos, addsEos)];
  if (before.length + after.length === 0) return null;
  const piece = (kind: string, id: string) =>
    object({ [kind]: object({ id, type_id: integer(0) }) });
  const special = (id: number) => piece('SpecialToken', tokens[id]);
  const single = [...before.map(special), piece('Sequence', 'A'), ...after.map(special)];
  const specials = [...before, ...after].map((id): [string, Json] => [
    tokens[id],
    object({ id: tokens[id], ids: [integer(id)], tokens: [tokens[id]] }),
  ]);
  return object({
    ...{ type: 'TemplateProcessing', single, pair: single },
    special_tokens: new Map(specials),
  });
}
