/**
 * Checks a tokenizer.json before the tokenizer library sees it: the library trusts its input, and a wrong
 * tokenizer is worse than none, since it makes wrong ids in silence.
 */

import { type CheckpointCode, CheckpointError } from '../checkpoint/errors.ts';
import { type Json, JsonInteger, type JsonObject } from '../checkpoint/json.ts';

/** Larger than any published vocabulary, small enough for a table indexed by id. */
const MAX_ID = 2 ** 22;
/** How much longer a text may get by Replace rules, all of them together. */
const MAX_GROWTH = 1000;

/** What the tokenizer library implements. */
const KNOWN: Readonly<Record<string, ReadonlySet<string>>> = {
  normalizer: new Set([
    'BertNormalizer',
    'Precompiled',
    'Sequence',
    'Replace',
    'NFC',
    'NFD',
    'NFKC',
    'NFKD',
    'Strip',
    'StripAccents',
    'Lowercase',
    'Prepend',
  ]),
  pre_tokenizer: new Set([
    'BertPreTokenizer',
    'Sequence',
    'Whitespace',
    'WhitespaceSplit',
    'Metaspace',
    'ByteLevel',
    'Split',
    'Punctuation',
    'Digits',
    'Replace',
    'FixedLength',
  ]),
  post_processor: new Set([
    'TemplateProcessing',
    'ByteLevel',
    'RobertaProcessing',
    'BertProcessing',
    'Sequence',
  ]),
  decoder: new Set([
    'ByteLevel',
    'WordPiece',
    'Metaspace',
    'BPEDecoder',
    'CTC',
    'Sequence',
    'Replace',
    'Fuse',
    'Strip',
    'ByteFallback',
  ]),
};
/** Where a Sequence of each part keeps its steps. */
const STEPS: Readonly<Record<string, string>> = {
  normalizer: 'normalizers',
  pre_tokenizer: 'pretokenizers',
  post_processor: 'processors',
  decoder: 'decoders',
};

/**
 * @returns every token of the vocabulary and the added tokens with its id.
 * @throws CheckpointError with code TokenizerSchema, UnsupportedTokenizer or Limit.
 */
export function checkTokenizer(json: Json, file: string): Map<string, number> {
  const checker = new Checker(file);
  const root = checker.object(json, 'the file');
  const vocab = checker.model(checker.object(root.get('model') ?? null, 'model'));
  checker.addedTokens(root.get('added_tokens') ?? [], vocab);
  for (const part of Object.keys(KNOWN)) checker.part(part, root.get(part) ?? null, vocab);
  checker.growth(root, ['normalizer', 'pre_tokenizer']);
  checker.growth(root, ['decoder']);
  return vocab;
}

class Checker {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  fail(problem: string, code: CheckpointCode = 'TokenizerSchema'): never {
    throw new CheckpointError(code, this.#file, problem);
  }

  object(json: Json, what: string): JsonObject {
    if (!(json instanceof Map)) this.fail(`${what}: expected an object`);
    return json;
  }

  #array(json: Json | undefined, what: string): Json[] {
    if (!Array.isArray(json)) this.fail(`${what}: expected a list`);
    return json;
  }

  #id(json: Json | undefined, what: string): number {
    if (!(json instanceof JsonInteger) || json.value < 0n) {
      this.fail(`${what}: expected a whole number ≥ 0`);
    }
    if (json.value >= BigInt(MAX_ID)) this.fail(`${what}: id ${json.value} ≥ ${MAX_ID}`, 'Limit');
    return Number(json.value);
  }

  model(model: JsonObject): Map<string, number> {
    // files from before 2020 name no type: they are BPE
    const type = model.get('type') ?? (model.has('merges') ? 'BPE' : undefined);
    if (type === 'Unigram') return this.#unigram(model);
    if (type !== 'BPE' && type !== 'WordPiece') {
      this.fail(
        `model.type: expected BPE, WordPiece or Unigram, got ${String(type)}`,
        'UnsupportedTokenizer',
      );
    }
    const entries = this.object(model.get('vocab') ?? null, 'model.vocab');
    if (entries.size === 0) this.fail('model.vocab: is empty');
    const vocab = new Map<string, number>();
    const tokens = new Map<number, string>();
    for (const [token, value] of entries) {
      const id = this.#id(value, `model.vocab["${token}"]`);
      const other = tokens.get(id);
      if (other !== undefined) {
        this.fail(`model.vocab: "${token}" and "${other}" have the same id ${id}`);
      }
      vocab.set(token, id);
      tokens.set(id, token);
    }
    if (type === 'BPE') this.#merges(model, vocab);
    return vocab;
  }

  #merges(model: JsonObject, vocab: ReadonlyMap<string, number>): void {
    const prefix = model.get('continuing_subword_prefix');
    const cut = typeof prefix === 'string' ? prefix.length : 0;
    for (const merge of this.#array(model.get('merges'), 'model.merges')) {
      const parts = typeof merge === 'string' ? merge.split(' ') : merge;
      if (!Array.isArray(parts) || parts.length !== 2) {
        this.fail(`model.merges: expected two parts, got ${JSON.stringify(merge)}`);
      }
      const [left, right] = parts;
      if (typeof left !== 'string' || typeof right !== 'string') {
        this.fail('model.merges: expected texts');
      }
      for (const token of [left, right, left + right.slice(cut)]) {
        if (!vocab.has(token)) this.fail(`model.merges: "${token}" is not in the vocabulary`);
      }
    }
  }

  #unigram(model: JsonObject): Map<string, number> {
    const entries = this.#array(model.get('vocab'), 'model.vocab');
    if (entries.length === 0) this.fail('model.vocab: is empty');
    if (entries.length > MAX_ID) this.fail(`model.vocab: more than ${MAX_ID} tokens`, 'Limit');
    const vocab = new Map<string, number>();
    entries.forEach((entry, id) => {
      const [token, score] = this.#array(entry, `model.vocab[${id}]`);
      if (typeof token !== 'string') this.fail(`model.vocab[${id}]: expected [text, score]`);
      if (!(score instanceof JsonInteger) && !Number.isFinite(score)) {
        this.fail(`model.vocab[${id}]: expected a finite score, got ${String(score)}`);
      }
      if (!vocab.has(token)) vocab.set(token, id);
    });
    const unknown = model.get('unk_id') ?? null;
    if (unknown !== null && this.#id(unknown, 'model.unk_id') >= entries.length) {
      this.fail(`model.unk_id: expected an id below ${entries.length}`);
    }
    return vocab;
  }

  /** Adds the added tokens to the vocabulary. */
  addedTokens(json: Json, vocab: Map<string, number>): void {
    const tokens = new Map([...vocab].map(([token, id]) => [id, token]));
    for (const item of this.#array(json, 'added_tokens')) {
      const entry = this.object(item, 'added_tokens');
      const content = entry.get('content');
      if (typeof content !== 'string' || content === '') {
        this.fail('added_tokens: expected a content of at least one character');
      }
      const id = this.#id(entry.get('id'), `added_tokens "${content}"`);
      const clashes = (tokens.get(id) ?? content) !== content || (vocab.get(content) ?? id) !== id;
      if (clashes) this.fail(`added_tokens: "${content}" and another token share the id ${id}`);
      vocab.set(content, id);
      tokens.set(id, content);
    }
  }

  /** A normalizer, pre-tokenizer, post-processor or decoder, with everything inside it. */
  part(part: string, json: Json, vocab: ReadonlyMap<string, number>): void {
    if (json === null) return;
    const object = this.object(json, part);
    const type = object.get('type');
    if (typeof type !== 'string' || !KNOWN[part].has(type)) {
      this.fail(
        `${part}.type: expected one of ${[...KNOWN[part]].join(', ')}, got ${String(type)}`,
        'UnsupportedTokenizer',
      );
    }
    if (type === 'Sequence') {
      const steps = this.#array(object.get(STEPS[part]), `${part}.${STEPS[part]}`);
      for (const step of steps) this.part(part, step, vocab);
    }
    if (type === 'TemplateProcessing') this.#template(object, vocab);
    if (object.has('pattern')) this.#pattern(object.get('pattern') ?? null, part);
  }

  #pattern(json: Json, part: string): void {
    const pattern = this.object(json, `${part}.pattern`);
    const text = pattern.get('String') ?? pattern.get('Regex');
    if (typeof text !== 'string') this.fail(`${part}.pattern: expected a String or a Regex`);
    if (pattern.has('String') && text === '') this.fail(`${part}.pattern: is empty`);
  }

  #template(object: JsonObject, vocab: ReadonlyMap<string, number>): void {
    const special = this.object(object.get('special_tokens') ?? new Map(), 'special_tokens');
    const ids = new Set(vocab.values());
    for (const [name, value] of special) {
      const entry = this.object(value, `special_tokens["${name}"]`);
      for (const id of this.#array(entry.get('ids'), `special_tokens["${name}"].ids`)) {
        if (!ids.has(this.#id(id, name)))
          this.fail(`special_tokens["${name}"]: no token has this id`);
      }
    }
    for (const form of ['single', 'pair']) {
      for (const piece of this.#array(object.get(form) ?? [], `post_processor.${form}`)) {
        const token = this.object(piece, `post_processor.${form}`).get('SpecialToken');
        if (token === undefined) continue;
        const name = this.object(token, 'SpecialToken').get('id');
        if (typeof name !== 'string' || !special.has(name)) {
          this.fail(`post_processor.${form}: special token "${String(name)}" does not exist`);
        }
      }
    }
  }

  /** Replace rules one after another must not blow a text up. */
  growth(root: JsonObject, parts: readonly string[]): void {
    let factor = 1;
    const visit = (json: Json): void => {
      if (Array.isArray(json)) json.forEach(visit);
      if (!(json instanceof Map)) return;
      const content = json.get('content');
      if (json.get('type') === 'Replace' && typeof content === 'string') {
        const pattern = json.get('pattern');
        const text = pattern instanceof Map ? pattern.get('String') : undefined;
        factor *= Math.max(1, content.length / (typeof text === 'string' ? text.length : 1));
      }
      for (const value of json.values()) visit(value);
    };
    for (const part of parts) visit(root.get(part) ?? null);
    if (factor > MAX_GROWTH) {
      this.fail(`Replace rules make a text up to ${factor.toPrecision(3)} times longer`, 'Limit');
    }
  }
}
