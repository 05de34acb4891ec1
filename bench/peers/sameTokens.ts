/**
 * `npx tsx bench/peers/sameTokens.ts [FOLDER…]`: whether llama.cpp and our reader cut texts into the same tokens by the same
 * GGUF file, for a small byte-level vocabulary with each kind of pre-tokenizer and for model folders.
 */

import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import fc from 'fast-check';
import { writeGguf } from '../../lib/checkpoint/ggufWriter.ts';
import { loadModel } from '../../lib/loadModel.ts';
import { weightNamed } from '../../lib/plan/weights.ts';
import { ggufVocabulary } from '../../lib/tokenizer/toGguf.ts';
import { modelOf } from '../../lib/verify/index.ts';
import type { ModelConfig } from '../../reference/config.ts';
import type { Model } from '../../reference/model.ts';
import { print } from '../report.ts';
import { installPeers } from './install.ts';

/** The part of node-llama-cpp that is used here. */
interface LlamaModule {
  getLlama(options: object): Promise<{
    loadModel(options: { modelPath: string }): Promise<{ tokenize(text: string): number[] }>;
  }>;
}
const PACKAGE: string = 'node-llama-cpp';

const WORDS = [
  ' the',
  'hello',
  "'s",
  "'S",
  '123',
  '1234567',
  '  ',
  '\n\n',
  '\r\n ',
  'Lily',
  '.',
  '“',
  'é',
  '日本',
];
const TEXTS = fc
  .sample(
    fc.array(
      fc.oneof(
        fc.constantFrom(...WORDS),
        fc.string({ unit: 'grapheme', maxLength: 6 }),
        fc.lorem({ maxCount: 5 }),
      ),
      { minLength: 1, maxLength: 8 },
    ),
    { seed: 1, numRuns: 2000 },
  )
  .map((parts) => parts.join(''))
  // texts are C strings there
  .filter((text) => !text.includes('\0'));

const MERGES = [
  'h e',
  'Ġ t',
  'Ġt he',
  'l l',
  '1 2',
  '12 3',
  "' s",
  'Ġ Ġ',
  'Ċ Ċ',
  'i n',
  'in g',
  'o r',
  'Ġd o',
  'Ġ d',
];
const byteLevel = (usesRegex: boolean) => ({
  ...{ type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: usesRegex },
});
const split = (source: string, after: object) => ({
  type: 'Sequence',
  pretokenizers: [
    { type: 'Split', pattern: { Regex: source }, behavior: 'Isolated', invert: false },
    after,
  ],
});
const words = (digits: string) =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*` +
  '|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const PRE_TOKENIZERS = {
  'gpt-2': byteLevel(true),
  starcoder: split('\\p{N}', byteLevel(true)),
  'llama-bpe': split(words('\\p{N}{1,3}'), byteLevel(false)),
  qwen2: split(words('\\p{N}'), byteLevel(false)),
};

const norm = { kind: 'rms', eps: 1e-5 } as const;
const TINY: ModelConfig = {
  ...{ vocabSize: 280, vocabRows: 280, dModel: 32, isTied: true, hasHeadBias: false },
  layers: [
    {
      norm,
      mixer: {
        ...{ kind: 'mamba', dInner: 64, dState: 16, dConv: 4, dtRank: 2 },
        ...{ hasBias: false, hasConvBias: true },
      },
    },
  ],
  finalNorm: norm,
};

installPeers(['llama.cpp']);
const { getLlama } = (await import(PACKAGE)) as LlamaModule;
const quiet = { gpu: false, build: 'never', skipDownload: true, logLevel: 'error', maxThreads: 1 };
const llama = await getLlama(quiet);
const temporary = await mkdtemp(join(tmpdir(), 'selscan-'));
try {
  for (const [name, preTokenizer] of Object.entries(PRE_TOKENIZERS)) {
    const json = JSON.stringify(byteLevelJson(preTokenizer, name === 'llama-bpe'));
    await compare(
      name,
      modelOf({ config: TINY, seed: 1 }, 'float32'),
      new TextEncoder().encode(json),
    );
  }
  for (const folder of process.argv.slice(2)) {
    const { model } = await loadModel(folder);
    await compare(basename(folder), model, readFileSync(join(folder, 'tokenizer.json')));
  }
} finally {
  await rm(temporary, { recursive: true, force: true });
}
process.exit();

async function compare(name: string, model: Model, tokenizerJson: Uint8Array): Promise<void> {
  const file = join(temporary, 'model.gguf');
  const { config } = model;
  const vocabulary = ggufVocabulary(tokenizerJson, { vocabRows: config.vocabRows });
  const weight = (weightName: string) => weightNamed(model, weightName);
  await writeGguf(file, { config, weight }, { vocabulary, bosToken: 1, eosTokens: [2] });
  const { tokenizer } = await loadModel(file);
  const theirs = await llama.loadModel({ modelPath: file });
  const different = TEXTS.filter((text) => {
    const ours = tokenizer?.encode(text, { addSpecialTokens: false });
    return ours?.join() !== theirs.tokenize(text).join();
  });
  print(`${name.padEnd(20)} ${TEXTS.length - different.length} of ${TEXTS.length} texts alike`);
  for (const text of different.slice(0, 3)) print(`  ${JSON.stringify(text)}`);
  if (different.length > 0) process.exitCode = 1;
}

/** A byte-level tokenizer.json: GPT-2's letters for the bytes, a few merges. */
function byteLevelJson(preTokenizer: object, ignoreMerges: boolean): object {
  const isPlain = (b: number) => (b > 32 && b < 127) || (b > 160 && b !== 173);
  let others = 0;
  const letters = Array.from({ length: 256 }, (_, b) =>
    String.fromCharCode(isPlain(b) ? b : 256 + others++),
  );
  const tokens = [...new Set([...letters, ...MERGES.map((merge) => merge.replace(' ', ''))])];
  return {
    ...{ added_tokens: [], normalizer: null, pre_tokenizer: preTokenizer, post_processor: null },
    decoder: byteLevel(true),
    model: {
      ...{ type: 'BPE', merges: MERGES, ignore_merges: ignoreMerges },
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    },
  };
}
