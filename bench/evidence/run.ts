/** `npm run evidence`: makes the students of runs.ts, one after the other, and keeps what each can do. */

import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { writeAtomically } from '../../lib/checkpoint/atomicFile.ts';
import { loadModel } from '../../lib/loadModel.ts';
import { namedWeights } from '../../lib/plan/weights.ts';
import { crossEntropyOf } from '../../lib/train/crossEntropy.ts';
import { openTraining } from '../../lib/train/device.ts';
import { type Accuracy, evaluate } from '../../lib/train/evaluate.ts';
import { exampleOf, tasksNamed } from '../../lib/train/taskData.ts';
import { currentSetting, print } from '../report.ts';
import { type EvidenceResult, RUNS, SMOOTHED } from './runs.ts';

const USAGE = `npm run evidence -- [options]
  --teacher DIR   default: fixtures/models/base-teacher
  --tasks a,b     what the students learn; default: listops-cot:base,listops-cot:small,word-problems:small
  --runs a,b      of ${RUNS.map(({ name }) => name).join(', ')}; default: all
  --seeds 1,2     default: 1
  --threads n     default: all
  --out FILE      results, added to; runs that it has are not made again; default: docs/evidence/results.json`;

/** Sequences of a step, tokens of the longest, problems that are judged, chains of each by chance. */
const [BATCH, SEQLEN, PROBLEMS, SAMPLES] = [24, 200, 300, 16];

const { values } = parseArgs({
  options: {
    teacher: { type: 'string', default: 'fixtures/models/base-teacher' },
    tasks: { type: 'string', default: 'listops-cot:base,listops-cot:small,word-problems:small' },
    runs: { type: 'string', default: RUNS.map(({ name }) => name).join() },
    seeds: { type: 'string', default: '1' },
    threads: { type: 'string' },
    out: { type: 'string', default: 'docs/evidence/results.json' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  print(USAGE);
  process.exit(0);
}
const { teacher, out } = values;
const tasks = values.tasks.split(',');
const scratch = '.scratch/evidence';
const { commit } = currentSetting();
mkdirSync(scratch, { recursive: true });

for (const seed of values.seeds.split(',').map(Number)) {
  for (const name of ['teacher', ...values.runs.split(',')]) {
    if (resultsIn(out).some((one) => one.run === name && one.seed === seed)) continue;
    const result = name === 'teacher' ? await judgeTeacher(seed) : await make(name, seed);
    // read again: another process may have added its own
    const all = [...resultsIn(out), result];
    const lines = all.map((one) => JSON.stringify(one)).join(',\n');
    await writeAtomically(out, new TextEncoder().encode(`[\n${lines}\n]\n`));
    const { nats, greedy, mean, coverage, minutes } = result;
    const shares = [greedy, mean, coverage].map((share) => `${(100 * share).toFixed(1)} %`);
    print(`${name}, seed ${seed}: ${nats.toFixed(4)} nats, ${shares.join(', ')}, ${minutes} min`);
  }
}

async function make(name: string, seed: number): Promise<EvidenceResult> {
  const run = RUNS.find((one) => one.name === name);
  if (!run) throw new Error(`no run "${name}"\n${USAGE}`);
  const recipe = { tasks, seed, batch: BATCH, seqlen: SEQLEN, ...run.recipe };
  const at = `${scratch}/${name}-${seed}`;
  writeFileSync(`${at}.json`, JSON.stringify(recipe));
  const command = ['distil', '--teacher', teacher, '--recipe', `${at}.json`, '--out', at];
  const judged = ['--evaluate', String(PROBLEMS), '--samples', String(SAMPLES)];
  const accuracy = await resultOf([...command, ...judged, '--overwrite']);
  return {
    ...{ run: name, seed, nats: await natsOf(at, seed), ...accuracy, commit },
    curve: curveOf(`${at}.run/loss.csv`),
  };
}

/** The teacher by itself. */
async function judgeTeacher(seed: number): Promise<EvidenceResult> {
  const accuracy = await evaluate(await loadModel(teacher, { precision: 'float32' }), {
    ...{ tasks, problems: PROBLEMS, samples: SAMPLES, maxTokens: SEQLEN, seed: seed + 1 },
  });
  const nats = await natsOf(teacher, seed);
  return { run: 'teacher', seed, nats, ...accuracy, minutes: 0, commit, curve: [] };
}

/** Runs the command line as a user would, and reads its last line. */
async function resultOf(args: readonly string[]): Promise<Accuracy & { minutes: number }> {
  const main = fileURLToPath(new URL('../../lib/cli/main.ts', import.meta.url));
  const threads = values.threads ? ['--threads', values.threads] : [];
  const all = ['--import', 'tsx', main, ...args, ...threads, '--json'];
  const child = spawn(process.execPath, all, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (bytes) => {
    text += bytes;
  });
  const code = await new Promise((resolve) => child.once('exit', resolve));
  const last = text.trim().split('\n').pop() ?? '';
  if (code !== 0 || !last.startsWith('{"result"')) throw new Error(`${args[0]} ended with ${code}`);
  const { result } = JSON.parse(last);
  const { problems, greedy, greedyError, mean, coverage, samples, seconds } = result;
  const minutes = Math.round(seconds / 6) / 10;
  return { problems, greedy, greedyError, mean, coverage, samples, minutes };
}

/** Nats per token of the right chains of unseen problems. */
async function natsOf(folder: string, seed: number): Promise<number> {
  const { config, model } = await loadModel(folder, { precision: 'float32' });
  const all = tasksNamed(tasks);
  const examples = Array.from({ length: PROBLEMS }, (_, i) =>
    exampleOf(all[i % all.length].problem(seed + 1, i, 'test')),
  );
  const device = await openTraining('wasm', { threads: 1 });
  try {
    const weights = namedWeights(model);
    return crossEntropyOf(device, { config, weights }, examples, { batch: 20, seqlen: SEQLEN });
  } finally {
    await device.close();
  }
}

/** The last stage's curve out of a run's table. */
function curveOf(path: string): [number, number][] {
  const rows = readFileSync(path, 'utf8').trim().split('\n').slice(1);
  const lastStage = rows[rows.length - 1].split(',')[0];
  const losses = rows.filter((row) => row.startsWith(`${lastStage},`));
  const curve: [number, number][] = [];
  for (let i = SMOOTHED; i <= losses.length; i += SMOOTHED) {
    const some = losses.slice(i - SMOOTHED, i).map((row) => Number(row.split(',')[2]));
    const mean = some.reduce((sum, loss) => sum + loss, 0) / SMOOTHED;
    curve.push([i, Number(mean.toPrecision(5))]);
  }
  return curve;
}

function resultsIn(path: string): EvidenceResult[] {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
