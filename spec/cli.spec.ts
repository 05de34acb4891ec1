/** The command line as a user runs it: what each command prints and writes. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openRegular } from '../lib/checkpoint/nodeFiles.ts';
import { TensorFile } from '../lib/checkpoint/tensorFile.ts';
import { parseTokenizer } from '../lib/tokenizer/tokenizer.ts';
import { path, selscan, TINY_STORIES, temporaryFolder } from './support.ts';

const STORY = 'Once upon a time, there was a little girl named Lily';
const MODEL = ['--model', TINY_STORIES];
const folder = temporaryFolder();

/** Runs a command that must succeed and returns what it printed. */
async function out(...args: string[]): Promise<string> {
  const result = await selscan(args);
  expect(result, result.err).toMatchObject({ code: 0 });
  return result.out;
}

/** Every line of the output as JSON. */
async function jsonLines(...args: string[]) {
  const lines = (await out(...args, '--json')).trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line));
}

function fileOf(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

describe('selscan generate', () => {
  const generate = ['generate', ...MODEL];

  it('prints a JSON line per sample of every prompt, then a summary', async () => {
    const prompts = fileOf('two.jsonl', '{"prompt": "One day"}\n\n{"tokens": [1, 403, 407]}\n');
    const options = ['--samples', '2', '--max-tokens', '6'];
    const lines = await jsonLines(...generate, '--prompts', prompts, ...options);
    const { summary } = lines.pop();
    expect(summary).toMatchObject({
      prompts: 2,
      samples: 4,
      tokens: 24,
      backend: 'wasm',
      seed: 0,
    });
    expect(summary.tokensPerSecond).toBeCloseTo(summary.tokens / summary.seconds, 6);
    const places = lines.map(({ prompt, sample }) => `${prompt}.${sample}`);
    expect(places.sort()).toEqual(['0.0', '0.1', '1.0', '1.1']);
    for (const line of lines) {
      expect(line).toMatchObject({ text: expect.any(String), finishReason: 'length' });
      expect(line.tokens).toHaveLength(6);
      expect(line.logprob).toBeLessThan(0);
    }
  });

  it('continues the prompt in text mode, with the speed on stderr only', async () => {
    const options = ['--prompt', '', '--temperature', '0', '--max-tokens', '40'];
    const result = await selscan([...generate, ...options]);
    expect(result.code).toBe(0);
    expect(result.out.startsWith(STORY)).toBe(true);
    expect(result.err).toMatch(
      /^40 tokens in [\d.]+ s: [\d,]+ tokens\/s on wasm \(float32, \d+ threads?\)\n$/,
    );
  });

  it('ends a chain before a stop text and says which one it was', async () => {
    const options = ['--prompt', '', '--temperature', '0', '--stop', 'zebra', '--stop', ', there'];
    const [line] = await jsonLines(...generate, ...options, '--max-tokens', '40');
    expect(line).toMatchObject({
      text: 'Once upon a time',
      finishReason: 'stop',
      stop: ', there',
    });
  });

  it('ends all chains with the budget, keeps what they have, and takes rows in turn', async () => {
    const options = ['--prompt', 'Once', '--samples', '3', '--max-tokens', '50', '--max-rows', '2'];
    const lines = await jsonLines(...generate, ...options, '--budget-tokens', '9');
    const { summary } = lines.pop();
    expect(summary).toMatchObject({ samples: 2, tokens: 9 });
    expect(lines.map(({ finishReason }) => finishReason)).toEqual(['budget', 'budget']);
    expect(lines.map(({ tokens }) => tokens.length).sort()).toEqual([4, 5]);
    const timed = await jsonLines(...generate, ...options, '--budget-seconds', '0.000001');
    expect(timed.pop().summary).toMatchObject({ samples: 0, tokens: 0 });
  });

  it('a chain whose logits are not finite is printed as failed, warned of, and exit code 1', async () => {
    // a bias that leaves no token to choose breaks every chain, and nothing else
    const bans = Array.from({ length: 512 }, (_, id) => ['--logit-bias', `${id}=-inf`]).flat();
    const args = [...generate, '--prompt', 'Once', '--samples', '2', ...bans, '--json'];
    const { code, out, err } = await selscan(args);
    expect(code).toBe(1);
    expect(err).toBe('warning: 2 of 2 samples failed: their logits were not finite\n');
    const [first, second, { summary }] = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    for (const line of [first, second]) {
      expect(line).toMatchObject({ finishReason: 'failed', error: { code: 'NonFiniteLogits' } });
    }
    expect(summary).toMatchObject({ samples: 2, failed: 2, tokens: 0 });
  });

  it('prints the same chains for the same seed and others for another', async () => {
    const run = async (seed: string) => {
      const options = ['--prompt', 'Tom', '--max-tokens', '12', '--seed', seed];
      return (await jsonLines(...generate, ...options))[0];
    };
    const [first, again] = await Promise.all([run('7'), run('7')]);
    expect(again).toEqual(first);
    expect((await run('8')).tokens).not.toEqual(first.tokens);
  });
});

describe('selscan score', () => {
  it('gives each token but the first the log-softmax of the logits that it writes', async () => {
    const file = join(folder, 'logits.safetensors');
    const tokens = [1, 403, 407, 261];
    const options = ['--tokens', tokens.join(), '--logits', file];
    const [result] = await jsonLines('score', ...MODEL, ...options);
    expect(result.tokens).toEqual(tokens);
    const written = await TensorFile.open(await openRegular(file));
    const { data, shape } = await written.floats('logits');
    await written.close();
    expect(shape).toEqual([4, 512]);
    const want = tokens.slice(1).map((token, i) => {
      const row = Array.from(data.subarray(i * 512, (i + 1) * 512));
      return row[token] - Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0));
    });
    expect(result.logprobs).toHaveLength(4);
    expect(result.logprobs[0]).toBeNull();
    want.forEach((logprob, i) => {
      // float32 throughout: logits below 32 are off by 2 ulp of 2^-19 at most
      expect(Math.abs(result.logprobs[i + 1] - logprob)).toBeLessThanOrEqual(2 ** -18);
    });
  });

  it('adds the begin token to a text', async () => {
    const [result] = await jsonLines('score', ...MODEL, '--text', 'Once upon a time');
    expect(result.tokens[0]).toBe(1);
    expect(result.logprobs).toHaveLength(result.tokens.length);
  });

  it('prints a table of the tokens without --json', async () => {
    const lines = (await out('score', ...MODEL, '--tokens', '1,403,407')).trimEnd().split('\n');
    expect(lines[0]).toMatch(/^text\s+token\s+logprob$/);
    expect(lines).toHaveLength(4);
  });
});

describe('selscan inspect', () => {
  it('says what a model folder is', async () => {
    const [line] = await jsonLines('inspect', TINY_STORIES);
    expect(line).toMatchObject({
      path: TINY_STORIES,
      ok: true,
      family: 'llama',
      layers: { attention: 5 },
      dModel: 64,
      vocabSize: 512,
      contextLength: 512,
      kvBytesPerToken: 5 * 2 * 4 * 8 * 4,
    });
    expect(await out('inspect', TINY_STORIES)).toMatch(/family +llama\n/);
  });

  it('says what fits into the memory at hand, and how fast it may be', async () => {
    const [{ capacity }] = await jsonLines('inspect', TINY_STORIES);
    expect(capacity.memoryBytes).toBe(Math.min(capacity.freeBytes, 2 ** 32));
    expect(capacity.stored).toMatchObject([
      { weights: 'float32', fits: [{ tokens: 512 }], speeds: [{ tokens: 512 }] },
      { weights: 'int8' },
    ]);
    const text = await out('inspect', TINY_STORIES);
    expect(text).toMatch(/^memory: \S+ .B, .* free.* measured now$/m);
    expect(text).toMatch(/^weights as +bytes +fit at 512 tokens +tokens\/s at 512 tokens$/m);
    const [tokenizer] = await jsonLines('inspect', join(TINY_STORIES, 'tokenizer.json'));
    expect(tokenizer).not.toHaveProperty('capacity');
  });

  it('exits 2 for a bad path and still prints the good ones beside it', async () => {
    const missing = join(folder, 'missing');
    const result = await selscan(['inspect', missing, TINY_STORIES, '--json']);
    expect(result.code).toBe(2);
    const lines = result.out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toMatchObject([
      { path: missing, ok: false, error: { code: 'NotFound' } },
      { path: TINY_STORIES, ok: true, family: 'llama' },
    ]);
  });
});

describe('selscan explain', () => {
  it('shows what attention looks at, and the next token', async () => {
    const text = await out('explain', ...MODEL, '--prompt', 'Once upon a', '--temperature', '0');
    expect(text).toMatch(/layer 4: attention, what each head looks at\n {2}head 0 .*%/);
    expect(text).toMatch(/next token: .* the likeliest is taken " time"/);
  });

  it('shows half-lives of a Mamba', async () => {
    const mamba = path('fixtures/golden/models/mamba1_hf_a');
    const text = await out('explain', '--model', mamba, '--tokens', '1,2,3');
    expect(text).toMatch(/half-life {2}\S+ … \S+ … \S+ {2}tokens/);
  });

  it('prints one JSON object, with tensors for one layer', async () => {
    const options = ['--tokens', '1,403,407', '--layer', '2'];
    const [step] = await jsonLines('explain', ...MODEL, ...options);
    expect(step).toMatchObject({ tokens: [1, 403, 407], position: 2, token: expect.any(Number) });
    const attention = step.events.filter(({ kind }: { kind: string }) => kind === 'attention');
    expect(attention).toHaveLength(1);
    expect(attention[0]).toMatchObject({ layer: 2, summary: { heads: expect.any(Array) } });
    expect(attention[0].summary.heads).toHaveLength(8);
  });
});

describe('selscan tasks', () => {
  it('prints problems as JSON lines, each of which can be made again alone', async () => {
    const options = ['--task', 'listops-cot', '--preset', 'tiny', '--seed', '1'];
    const lines = await jsonLines('tasks', ...options, '--count', '70', '--split', 'test');
    expect(lines).toHaveLength(70);
    for (const { question, answer, chain, split } of lines) {
      expect(question).toMatch(/^\[(MIN|MAX|MED|SM) /);
      expect(chain.endsWith(`; # ${answer}`)).toBe(true);
      expect(split).toBe('test');
    }
    const [line] = await jsonLines(
      'tasks',
      ...options,
      '--start',
      '69',
      '--split',
      'test',
      '--count',
      '1',
    );
    expect(line).toEqual(lines[69]);
    expect(line).toMatchObject({ task: 'listops-cot', preset: 'tiny', seed: 1, index: 69 });
  });

  it('prints question and chain for people, and names all tasks without --task', async () => {
    const text = await out('tasks', '--task', 'addition', '--preset', 'tiny', '--count', '2');
    expect(text).toMatch(/^(\d+ \+ \d+ \?\n(\d \+ \d \+ \d = \d+ ; )+# \d+\n\n){2}$/);
    expect(await out('tasks')).toMatch(/^listops-cot: tiny, small, base, rewritten, long$/m);
  });

  it('writes a tokenizer.json that a model folder can have', async () => {
    const file = join(folder, 'words', 'tokenizer.json');
    await out('tasks', '--tokenizer', file);
    const tokenizer = parseTokenizer(readFileSync(file));
    expect(tokenizer.decode(tokenizer.encode('47 + 85 ?'))).toBe('47 + 85 ?');
  });
});

describe('selscan demo', () => {
  it('tells the published story in its first column, then what that took', async () => {
    const text = await out('demo', '--max-tokens', '60');
    const rows = text.split('\n').filter((row) => row.includes('│'));
    expect(rows.shift()).toMatch(/^temperature 0 +│ temperature 0\.9, #1/);
    const column = rows.map((row) => row.split('│')[0].trim());
    expect(column.join(' ').startsWith(STORY)).toBe(true);
    expect(text).toMatch(/\n\d+ tokens in [\d.]+ s: [\d,]+ tokens\/s over 4 chains/);
    expect(text).toMatch(/at 10,000 tokens\nthis Transformer \(KV cache\) .* 12\.8 MB\n/);
  });
});

describe('--help', () => {
  const COMMANDS = ['generate', 'score', 'oracle', 'explain', 'inspect', 'tasks', 'demo'];

  it('names every command', async () => {
    const help = await out('--help');
    for (const command of COMMANDS) expect(help).toMatch(new RegExp(`^ {2}${command} `, 'm'));
  });

  it.each(COMMANDS)('of %s exits 0 and shows its usage', async (command) => {
    expect(await out(command, '--help')).toMatch(new RegExp(`^Usage: selscan ${command} `));
  });
});
