/**
 * `npm run bench:contexts`: our models against each other in long contexts of their own, at a batch that may not
 * fit memory: then its rows take turns, in waves of as many as fit.
 */

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { openBackend } from '../backends/index.ts';
import type { Backend, Executor } from '../backends/types.ts';
import { lineFigure } from '../lib/figures/index.ts';
import { type ChainTiming, decodeChains } from './chains.ts';
import { type ContextTiming, expectReference, timeContext } from './contextSteps.ts';
import { parametersOf, REAL_MODELS, randomModel } from './realModels.ts';
import { print, Report, ratioColumns, timeColumns } from './report.ts';
import { spreadOf } from './timing.ts';

const USAGE = `npm run bench:contexts -- [options]
  --models a,b        of ${Object.keys(REAL_MODELS).join(', ')}; default: mamba,transformer
  --contexts 512,…    tokens that every sequence has taken in; default: 512,1024,2048,4096,8192
  --batch n           sequences; default: 64
  --backend NAME      default: wasm
  --threads n         default: 2
  --dtype f32|int8    default: f32
  --seconds n         for all rounds of one context; default: 20
  --chains n          decode n tokens of every sequence as well, end to end: for 4096, an hour or more
  --unverified        leave out the comparison with the reference, which needs a minute and 2 GB
  --json FILE, --svg FILE`;

const text = (fallback: string) => ({ type: 'string' as const, default: fallback });
const { values } = parseArgs({
  options: {
    help: { type: 'boolean', default: false },
    models: text('mamba,transformer'),
    contexts: text('512,1024,2048,4096,8192'),
    batch: text('64'),
    backend: text('wasm'),
    threads: text('2'),
    dtype: text('f32'),
    seconds: text('20'),
    chains: text('0'),
    unverified: { type: 'boolean', default: false },
    json: { type: 'string' },
    svg: { type: 'string' },
  },
});
const models = values.models.split(',');
const contexts = values.contexts.split(',').map(Number);
const [batch, threads, seconds, chains] = [
  ...[values.batch, values.threads, values.seconds, values.chains].map(Number),
];
const problem = problemOf();
if (values.help || problem) {
  print(problem ? `bench:contexts: ${problem}` : USAGE);
  process.exit(problem ? 2 : 0);
}

const weights = values.dtype === 'f32' ? 'float32' : 'int8';
const report = new Report();
const { machine, node, commit, date } = report.setting;
const what = `${values.backend}, ${values.dtype}, ${threads} threads, batch ${batch}`;
print(`${machine}, Node ${node}, commit ${commit}\n${what}`);

const backends: Backend[] = [];
const executors: Executor[] = [];
for (const model of models) {
  const config = REAL_MODELS[model];
  const planned = randomModel(config, 1);
  print(`${model}: ${(parametersOf(config) / 1e6).toFixed(1)} M parameters`);
  // each with memory of its own, as it would have alone
  const backend = await openBackend(values.backend, { threads, weights });
  const executor = await backend.load(planned);
  if (!values.unverified) await expectReference(model, planned, executor, values.dtype);
  backends.push(backend);
  executors.push(executor);
}

await timeSteps();
if (chains > 0) await timeChains();
for (const executor of executors) await executor.close();
for (const backend of backends) await backend.close();
if (values.json) report.save(values.json);
process.exit(0);

/** One step of every sequence at each context; rounds of the models take turns. */
async function timeSteps(): Promise<void> {
  const timed: (ContextTiming & { model: string; context: number })[] = [];
  for (const context of contexts) {
    const timings = await timeContext(
      models.map((model, i) => ({ config: REAL_MODELS[model], executor: executors[i] })),
      { batch, context, seconds },
    );
    timed.push(...timings.map((timing, i) => ({ ...timing, model: models[i], context })));
  }
  const rows = timed.map(({ model, context, rows, timing, times }) => ({
    ...{ model, context, rows, waves: batch / rows },
    ...timeColumns(timing),
    ...ratioColumns('times', times),
  }));
  const title = `A step of ${batch} sequences, ms; where fewer rows fit, ms of those times batch/rows`;
  report.table(
    'contexts',
    title,
    [
      ['model', 'model'],
      ['context', 'context'],
      ['rows that fit', 'rows'],
      ['ms', 'ms'],
      ['CPU ms', 'cpuMs'],
      [`× ${models[0]}`, 'times'],
      ['rounds', 'rounds'],
    ],
    rows,
  );
  if (values.svg) {
    writeFileSync(values.svg, plotOf(timed));
    print(`plot: ${values.svg}`);
  }
}

function plotOf(timed: readonly (ContextTiming & { model: string; context: number })[]): string {
  return lineFigure({
    title: `A step of ${batch} sequences: lower is better`,
    description: 'One decode step: milliseconds against tokens of context',
    ...{ x: 'tokens of context', y: 'a step', yUnit: ' ms', logX: true, logY: true },
    intervals: 'bars',
    series: models.map((model) => ({
      name: model,
      panel: `${values.backend}, ${values.dtype}, ${threads} threads`,
      points: timed
        .filter((one) => one.model === model)
        .map(({ context, timing }) => {
          const { median, min, max } = spreadOf(timing.samples);
          return { x: context, y: median, low: min, high: max };
        }),
    })),
    notes: [
      `${machine}, Node ${node}`,
      `commit ${commit}, ${date.slice(0, 10)}; where fewer fit, they take turns`,
    ],
  });
}

/** Whole chains from one token to the last, one model after the other. */
async function timeChains(): Promise<void> {
  const timings: (ChainTiming & { model: string })[] = [];
  for (const [i, model] of models.entries()) {
    const timing = await decodeChains(executors[i], batch, chains, (line) => {
      process.stderr.write(`${model}: ${line}\n`);
    });
    timings.push({ ...timing, model });
  }
  const rows = timings.map(({ model, seconds, waves, rows }) => ({
    ...{ model, seconds, rows, waves },
    tokensPerSecond: (batch * chains) / seconds,
    times: seconds / timings[0].seconds,
  }));
  report.table(
    'chains',
    `${batch} chains of ${chains} tokens, end to end`,
    [
      ['model', 'model'],
      ['s', 'seconds'],
      ['tokens/s', 'tokensPerSecond'],
      ['rows at once', 'rows'],
      ['waves', 'waves'],
      [`× ${models[0]}`, 'times'],
    ],
    rows,
  );
}

function problemOf(): string | undefined {
  const unknown = models.find((model) => !(model in REAL_MODELS));
  if (unknown !== undefined) {
    return `--models: expected some of ${Object.keys(REAL_MODELS).join(', ')}, got ${unknown}`;
  }
  const wrong = [batch, threads, ...contexts].find((n) => !Number.isInteger(n) || n < 1);
  if (wrong !== undefined) return `expected whole numbers ≥ 1, got ${wrong}`;
  if (!(seconds > 0)) return `--seconds: expected a number above 0, got ${values.seconds}`;
  if (!Number.isInteger(chains) || chains < 0)
    return `--chains: expected tokens, got ${values.chains}`;
  if (!['f32', 'int8'].includes(values.dtype)) {
    return `--dtype: expected f32 or int8, got ${values.dtype}`;
  }
  return undefined;
}
