/** How a text is cut into words before bytes are paired: llama.cpp's names, and the same as in a tokenizer.json. */

import type { Json, JsonObject } from '../checkpoint/json.ts';

const object = (entries: Record<string, Json>): JsonObject => new Map(Object.entries(entries));

const CONTRACTIONS = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";
/** The same, as Python's patterns have it. */
const INSENSITIVE = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
/** Words with the space or the sign before them, numbers of so many digits, signs, line ends, spaces. */
const words = (digits: string) =>
  `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*` +
  '|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const byteLevel = (usesRegex: boolean) =>
  object({ type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: usesRegex });
const sequence = (...steps: Json[]) => object({ type: 'Sequence', pretokenizers: steps });
const split = (source: string): JsonObject =>
  object({
    type: 'Split',
    pattern: object({ Regex: source }),
    behavior: 'Isolated',
    invert: false,
  });

const GPT2 = () => byteLevel(true);
// the tokenizer library's Digits are 0 to 9 only, llama.cpp's and Hugging Face's own are all numbers of Unicode
const NUMBER = '\\p{N}';
const DIGIT_BY_DIGIT = () => sequence(split(NUMBER), byteLevel(true));
const LLAMA3 = () => sequence(split(words('\\p{N}{1,3}')), byteLevel(false));
const QWEN2 = () => sequence(split(words(NUMBER)), byteLevel(false));

/** How the pre-tokenizers that llama.cpp names cut a text into words. */
const PRE_TOKENIZERS: ReadonlyMap<string, () => Json> = new Map([
  ...(
    ['gpt-2', 'phi-2', 'mpt', 'olmo', 'jais', 'trillion', 'granite-docling', 'exaone4'] as const
  ).map((name) => [name, GPT2] as const),
  ...(
    ['starcoder', 'refact', 'command-r', 'smollm', 'codeshell', 'exaone', 'minerva-7b'] as const
  ).map((name) => [name, DIGIT_BY_DIGIT] as const),
  ...(['llama-bpe', 'llama3', 'llama-v3', 'falcon3', 'dbrx', 'smaug-bpe'] as const).map(
    (name) => [name, LLAMA3] as const,
  ),
  ...(['qwen2', 'deepseek-r1-qwen', 'stablelm2', 'megrez', 'hunyuan'] as const).map(
    (name) => [name, QWEN2] as const,
  ),
]);
/** Those that take a word that is a token as it is, and begin every text with a token. */
const WHOLE_WORDS = /^(llama-bpe|llama3|llama-v3|falcon3)$/;

/** The pre-tokenizer by llama.cpp's name; undefined for one that is not known here. */
export function preTokenizerOf(name: string): Json | undefined {
  return PRE_TOKENIZERS.get(name)?.();
}

export function takesWholeWords(name: string): boolean {
  return WHOLE_WORDS.test(name);
}

/** llama.cpp's name for a tokenizer.json's pre-tokenizer; undefined where it has none. */
export function preTokenizerNamed(json: Json, isWholeWords: boolean): string | undefined {
  const wanted = signature(json);
  // the first of several names for the same
  const found = [...PRE_TOKENIZERS].find(
    ([name, make]) => takesWholeWords(name) === isWholeWords && signature(make()) === wanted,
  );
  return found?.[0];
}

/** What matters of a pre-tokenizer, as a text. */
function signature(json: Json): string {
  if (!(json instanceof Map)) return String(json);
  const steps = json.get('type') === 'Sequence' ? json.get('pretokenizers') : [json];
  return (steps as JsonObject[]).map(stepSignature).join();
}

function stepSignature(step: JsonObject): string {
  if (step.get('type') === 'Digits' && step.get('individual_digits') === true) {
    return stepSignature(split(NUMBER));
  }
  const pattern = step.get('pattern');
  const source = pattern instanceof Map ? pattern.get('Regex') : undefined;
  const isPrefixed = step.get('type') === 'ByteLevel' && step.get('add_prefix_space') !== false;
  return JSON.stringify([
    step.get('type'),
    typeof source === 'string' ? source.replace(INSENSITIVE, CONTRACTIONS) : source,
    step.get('behavior'),
    step.get('use_regex') ?? true,
    isPrefixed,
  ]);
}
