/** Bad input: exit code 2 and one line that says what is wrong, never a stack and never half a result. */

import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { openRegular } from '../lib/checkpoint/nodeFiles.ts';
import {
  encodeSafetensors,
  TensorFile,
  type WritableTensor,
} from '../lib/checkpoint/tensorFile.ts';
import { type CommandResult, path, selscan, TINY_STORIES, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const WEIGHTS = 'model.safetensors';
const prompted = ['--prompt', 'Once', '--max-tokens', '3'];
const generate = (model: string, ...args: string[]) => ['generate', '--model', model, ...args];
const tiny = (...args: string[]) => generate(TINY_STORIES, ...prompted, ...args);

/** A copy of the bundled model, to be spoilt. */
function modelCopy(name: string): string {
  const copy = join(folder, name);
  cpSync(TINY_STORIES, copy, { recursive: true });
  return copy;
}

function truncated(): string {
  const copy = modelCopy('truncated');
  truncateSync(join(copy, WEIGHTS), 500_000);
  return copy;
}

function withOtherConfig(): string {
  const copy = modelCopy('other-config');
  cpSync(path('fixtures/golden/models/llama_a/config.json'), join(copy, 'config.json'));
  return copy;
}

/** Without a tokenizer, which would not fit either and be found first. */
function withOtherFamily(): string {
  const copy = modelCopy('other-family');
  rmSync(join(copy, 'tokenizer.json'));
  cpSync(path('fixtures/golden/models/mamba1_hf_a/config.json'), join(copy, 'config.json'));
  return copy;
}

/** A checkpoint in which one weight is NaN. */
async function withNaN(): Promise<string> {
  const copy = modelCopy('nan');
  const file = await TensorFile.open(await openRegular(join(TINY_STORIES, WEIGHTS)));
  const tensors = new Map<string, WritableTensor>();
  for (const name of file.header.tensors.keys()) {
    const { data, shape } = await file.floats(name);
    tensors.set(name, { data: Float32Array.from(data), shape });
  }
  await file.close();
  const norm = tensors.get('model.norm.weight');
  if (!norm) throw new Error('the bundled model has no final norm');
  (norm.data as Float32Array)[3] = Number.NaN;
  writeFileSync(join(copy, WEIGHTS), encodeSafetensors(tensors));
  return copy;
}

function fileOf(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

interface BadCase {
  args: () => string[] | Promise<string[]>;
  /** What the line must say. */
  says: RegExp;
}

const CASES: Record<string, BadCase> = {
  'a missing model folder': {
    args: () => generate(join(folder, 'missing'), ...prompted),
    says: /^error NotFound: .*missing/,
  },
  'truncated weights': {
    args: () => generate(truncated(), ...prompted),
    says: /model\.safetensors/,
  },
  'the config.json of another size': {
    args: () => generate(withOtherConfig(), ...prompted),
    says: /^error ConfigMismatch: /,
  },
  'the config.json of another family': {
    args: () => ['score', '--model', withOtherFamily(), '--tokens', '1,2'],
    says: /backbone|mamba|tensor/,
  },
  'a prompt longer than the context': {
    args: () => generate(TINY_STORIES, '--prompt', 'Once upon a time '.repeat(300)),
    says: /512/,
  },
  'an empty prompts file': {
    args: () => generate(TINY_STORIES, '--prompts', fileOf('empty.jsonl', '\n\n')),
    says: /^error EmptyPrompts: .*empty\.jsonl/,
  },
  'a prompts file with a bad line': {
    args: () =>
      generate(TINY_STORIES, '--prompts', fileOf('bad.jsonl', '{"prompt": "a"}\n{"prompt": 5}\n')),
    says: /^error PromptsFile: .*bad\.jsonl, line 2/,
  },
  'a prompts file with a line that is not JSON': {
    args: () => generate(TINY_STORIES, '--prompts', fileOf('text.jsonl', 'Once upon a time\n')),
    says: /text\.jsonl, line 1/,
  },
  'a token id out of range': {
    args: () => ['score', '--model', TINY_STORIES, '--tokens', '1,99999'],
    says: /99999/,
  },
  'a negative temperature': { args: () => tiny('--temperature', '-1'), says: /temperature.*-1/ },
  'a top-p above 1': { args: () => tiny('--top-p', '1.2'), says: /top-?p.*1\.2/i },
  'a weight that is NaN': {
    args: async () => generate(await withNaN(), ...prompted),
    says: /NaN/,
  },
  'an unknown backend': { args: () => tiny('--backend', 'abacus'), says: /got abacus/ },
  'a backend that is of the browser only': {
    args: () => tiny('--backend', 'gpujs:webgl2'),
    says: /webgl2/,
  },
  'threads of a backend that has one': {
    args: () => tiny('--backend', 'reference', '--threads', '2'),
    says: /^error Option: threads: expected 1, all that reference uses, got 2/,
  },
  'weights of a backend that has no choice': {
    args: () => tiny('--backend', 'gpujs:cpu', '--weights', 'int8'),
    says: /^error Option: weights: expected none or float32, gpujs:cpu .* got int8; use wasm/,
  },
  'weights of no known format': { args: () => tiny('--weights', 'int3'), says: /got int3/ },
  'a budget of nothing': {
    args: () => tiny('--budget-tokens', '0'),
    says: /^error Option: budget\.tokens: expected a whole number ≥ 1, got 0/,
  },
  'no rows at all': { args: () => tiny('--max-rows', '0'), says: /maxRows: .* from 1 .* got 0/ },
  'an unknown option': {
    args: () => tiny('--temprature', '1'),
    says: /^error Usage: .*temprature/,
  },
  'an option that is not a number': { args: () => tiny('--top-k', 'many'), says: /many/ },
  'an unknown task': {
    args: () => ['tasks', '--task', 'chess'],
    says: /^error Option: task: expected one of listops, listops-cot, .*, got chess$/m,
  },
  'an unknown preset of a task': {
    args: () => ['tasks', '--task', 'addition', '--preset', 'huge'],
    says: /^error Option: preset: expected one of tiny, small, base, long for addition, got huge$/m,
  },
  'a preset without a task': {
    args: () => ['tasks', '--preset', 'base'],
    says: /^error Usage: task: expected --task beside --preset/,
  },
  'no problems at all': {
    args: () => ['tasks', '--task', 'addition', '--count', '0'],
    says: /^error Option: count: expected a whole number from 1 to 10,000,000, got 0/,
  },
  'problems before the first': {
    args: () => ['tasks', '--task', 'addition', '--start', '-1'],
    says: /^error Option: index: expected a whole number in .* got -1/,
  },
  'a split that does not exist': {
    args: () => ['tasks', '--task', 'addition', '--split', 'dev'],
    says: /^error Option: split: expected one of train, validation, test, got dev/,
  },
  'an unknown command': { args: () => ['generat'], says: /^error Usage: .*generat/ },
  'both --prompt and --prompts': {
    args: () => tiny('--prompts', fileOf('one.jsonl', '{"prompt": "a"}\n')),
    says: /^error Usage: .*--prompt or --prompts/,
  },
  'neither --prompt nor --prompts': {
    args: () => generate(TINY_STORIES),
    says: /^error Usage: .*--prompt or --prompts/,
  },
};

describe('bad input', () => {
  const results = new Map<string, CommandResult>();

  beforeAll(async () => {
    const waiting = Object.entries(CASES);
    const work = async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        const [name, { args }] = next;
        results.set(name, await selscan(await args()));
      }
    };
    await Promise.all([work(), work()]);
  });

  it.each(Object.entries(CASES))(
    '%s ends with exit code 2 and one line on stderr',
    (name, { says }) => {
      const result = results.get(name);
      expect(result).toMatchObject({
        code: 2,
        out: '',
        err: expect.stringMatching(/^error \w+: .+\n$/),
      });
      expect(result?.err.trimEnd().split('\n')).toHaveLength(1);
      expect(result?.err).toMatch(says);
      expect(result?.err).not.toMatch(/\bat .*\.[jt]s:\d+/);
    },
  );

  it('leaves the bundled model as it was, which still decodes', async () => {
    expect(readFileSync(join(TINY_STORIES, WEIGHTS)).length).toBe(1_045_144);
    expect(await selscan(tiny())).toMatchObject({ code: 0 });
  });
});
