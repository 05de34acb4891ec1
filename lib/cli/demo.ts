/** `selscan demo`, what `npm start` runs: a real model tells several stories at once, and what that took. */

import { dirname } from 'node:path';
import type { Command } from 'commander';
import type { BackendInfo } from '../../backends/types.ts';
import { type ModelConfig, stateSize } from '../../reference/config.ts';
import { ConfigError } from '../../reference/errors.ts';
import { DEFAULT_BACKEND, openExecutor } from '../backend.ts';
import { bundled } from '../bundled.ts';
import { generate } from '../decode/generate.ts';
import type { GenerateOptions } from '../decode/options.ts';
import { type LoadedModel, loadModel } from '../loadModel.ts';
import { Columns } from './columns.ts';
import { type Context, describeBackend } from './context.ts';
import { parseInteger, parseNumber } from './options.ts';
import { studentsOf } from './students.ts';
import { formatBytes, formatCount, formatTable, type Terminal, terminalText } from './terminal.ts';

interface Flags {
  stories: number;
  maxTokens: number;
  temperature: number;
  seed: number;
}

const MODEL = 'fixtures/models/tinystories-260k';
const FAR = 10_000;

export function addDemo(program: Command, context: Context): void {
  program
    .command('demo')
    .description('decode the bundled TinyStories model into several stories side by side')
    .option('--stories <n>', 'how many, the first always at temperature 0', parseInteger, 4)
    .option('--max-tokens <n>', 'tokens per story, at most', parseInteger, 256)
    .option('--temperature <t>', 'of all but the first', parseNumber, 0.9)
    .option('--seed <s>', 'makes every draw', parseInteger, 0)
    .action((flags: Flags) => run(flags, context));
}

export const bundledModel = (): string => dirname(bundled(`${MODEL}/config.json`));

async function run(flags: Flags, { terminal, signal }: Context): Promise<void> {
  const { stories, maxTokens, temperature, seed } = flags;
  if (!(stories >= 1 && stories <= 8)) {
    throw new ConfigError(`stories: expected a whole number from 1 to 8, got ${stories}`);
  }
  const loaded = await loadModel(bundledModel(), { signal });
  const { config, bosToken } = loaded;
  terminal.out(
    `TinyStories-260K by Andrej Karpathy (MIT): a Llama-architecture Transformer of ${config.layers.length} ` +
      `layers, width ${config.dModel}.\nPrompt: empty, so each story begins at the begin token.\n\n`,
  );
  const columns = new Columns(stories, Math.min(terminal.columns, 160), (row) =>
    terminal.out(`${row}\n`),
  );
  columns.row(
    Array.from({ length: stories }, (_, i) =>
      i === 0 ? 'temperature 0' : `temperature ${temperature}, #${i}`,
    ),
  );
  // a begin token inside a text means that another story begins
  const executor = await openExecutor(loaded.model, DEFAULT_BACKEND);
  const common: GenerateOptions = {
    backend: executor,
    maxTokens,
    seed,
    signal,
    stopTokens: bosToken === undefined ? [] : [bosToken],
  };
  const start = performance.now();
  const lengths = new Array<number>(stories).fill(0);
  /** Streams chains into the columns from `first` on. */
  const tell = async (first: number, options: GenerateOptions) => {
    for await (const event of generate(loaded, [''], { ...common, ...options })) {
      if (event.kind === 'plan') continue;
      const column = first + event.sample;
      if (event.kind === 'token') {
        lengths[column]++;
        columns.push(column, terminalText(event.text));
      } else {
        columns.push(column, terminalText(event.rest));
        columns.end(column);
      }
    }
  };
  const sampled = stories > 1 ? [tell(1, { samples: stories - 1, temperature })] : [];
  await Promise.all([tell(0, { temperature: 0 }), ...sampled]);
  await executor.close();
  const seconds = (performance.now() - start) / 1000;
  report(terminal, loaded, executor.info, lengths, seconds);
}

function report(
  terminal: Terminal,
  { config }: LoadedModel,
  info: BackendInfo,
  lengths: readonly number[],
  seconds: number,
): void {
  const tokens = lengths.reduce((sum, n) => sum + n, 0);
  const rate = formatCount(tokens / seconds);
  const longest = Math.max(...lengths);
  terminal.out(
    `\n${formatCount(tokens)} tokens in ${seconds.toFixed(2)} s: ${rate} tokens/s over ${lengths.length} chains ` +
      `on ${describeBackend(info)}\n\n` +
      'What one sequence keeps in memory while it is decoded, at 4 bytes a number\n' +
      `(the Float64 reference takes twice that):\n\n`,
  );
  const row = (name: string, c: ModelConfig) => [
    name,
    ...[longest, FAR].map((n) => formatBytes(memory(c, n))),
  ];
  const titles = ['', `at ${formatCount(longest)} tokens`, `at ${formatCount(FAR)} tokens`];
  const rows = [
    row('this Transformer (KV cache)', config),
    ...studentsOf(config).map((student) => row(student.name, student.config)),
  ];
  terminal.out(
    `${formatTable([titles, ...rows])}\n\n` +
      "The Transformer's cache grows with every token, a Mamba's state does not. The students are sizes\n" +
      'here; two trained ones: npm run -s selscan -- generate --model fixtures/models/stories-pure --prompt TEXT\n' +
      'and stories-hybrid. Your own checkpoint: --model DIR\n',
  );
}

/** Bytes that a sequence of so many tokens keeps, in float32. */
function memory(config: ModelConfig, tokens: number): number {
  const { fixed, perToken } = stateSize(config);
  return 4 * (fixed + tokens * perToken);
}
