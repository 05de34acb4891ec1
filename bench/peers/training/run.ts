/** `npm run bench:training-peers`: a step of training, ours against PyTorch and jax-js; compared, then timed, turn about. */

import { rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { ModelWithWeights } from '../../../lib/distil/initFromAttention.ts';
import type { Batch } from '../../../lib/train/batches.ts';
import { openTraining } from '../../../lib/train/device.ts';
import { type Column, print, Report, type Row, ratioColumns, timeColumns } from '../../report.ts';
import { spreadOf } from '../../timing.ts';
import { expectReferenceLoss, flopsOf, randomBatch, trainingModels } from '../../training.bench.ts';
import { type Contender, type Outcome, playMatch } from './match.ts';
import { missing, readOptions } from './options.ts';
import { writeProblem } from './problem.ts';

const COLUMNS: readonly Column[] = [
  ['contestant', 'who'],
  ['threads', 'threads'],
  ['ms a step', 'ms'],
  ['tokens/s', 'tokensPerSecond'],
  ['GFLOP/s', 'gflops'],
  ['time / ours', 'timesOurs'],
  ['CPU ms', 'cpuMs'],
  ['peak MB', 'peakMegabytes'],
  ['losses apart', 'difference'],
];

const options = readOptions(process.argv.slice(2));
const report = new Report();
const { machine, node, commit, date } = report.setting;
print(`${machine}, Node ${node}, commit ${commit}, ${date}`);
print('Machines are shared: compare lines of one run, not runs.');

const peers = options.peers.filter((peer) => {
  const install = missing(peer, options.python);
  if (install) print(`left out: ${peer} is not installed; ${install}`);
  return !install;
});
/** Ours first: the others are compared with it. */
const contenders: Contender[] = [
  ...options.threads.map((threads) => ({ who: 'ours' as const, threads })),
  ...peers.flatMap((who) =>
    (who === 'jax-js' ? [1] : options.threads).map((threads) => ({ who, threads })),
  ),
];
const models = trainingModels();
const ran = new Set<string>();
/** Of ours that failed, and of contestants with wrong losses; that a peer cannot is an outcome. */
let failed = 0;
/** What must not be left behind by an interruption. */
let written: string | undefined;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    if (written) rmSync(written, { recursive: true, force: true });
    process.exit(130);
  });
}

for (const name of options.models) {
  await expectReferenceLoss(name, models[name]);
  for (const [batch, seqlen] of options.shapes) await run(name, batch, seqlen);
}
print();
for (const info of ran) print(info);
if (options.json) report.save(options.json);
process.exit(failed === 0 ? 0 : 1);

/** A match of all contestants on one model and one shape. */
async function run(name: string, batch: number, seqlen: number): Promise<void> {
  const data = randomBatch(batch, seqlen);
  const flops = await countFlops(models[name], data);
  written = await writeProblem(models[name], data);
  try {
    const outcomes = await playMatch(written, contenders, options);
    const timed = outcomes.filter(({ problem }) => problem === undefined);
    const rows = timed.map((outcome) => rowOf(outcome, outcomes, batch * seqlen, flops));
    const named = rows.map((row) => ({ model: name, batch, seqlen, ...row }));
    report.table('trainingPeers', `${name}, batch ${batch}, seqlen ${seqlen}`, COLUMNS, named);
    for (const { info } of timed) ran.add(info);
    for (const { who, threads, problem } of outcomes) {
      if (problem === undefined) continue;
      if (problem.kind === 'wrong') failed++;
      print(`${who}, ${threads} threads, ${problem.kind}: ${problem.text}`);
      report.keep('untimed', [{ model: name, batch, seqlen, who, threads, ...problem }]);
    }
  } catch (error) {
    failed++;
    const text = error instanceof Error ? error.message : String(error);
    print(`\n${name}, batch ${batch}, seqlen ${seqlen}, failed: ${text}`);
  } finally {
    await rm(written, { recursive: true, force: true });
    written = undefined;
  }
}

async function countFlops(model: ModelWithWeights, data: Batch): Promise<number> {
  const device = await openTraining('wasm', { threads: 1 });
  try {
    return flopsOf(device, model, data);
  } finally {
    await device.close();
  }
}

function rowOf(outcome: Outcome, all: readonly Outcome[], tokens: number, flops: number): Row {
  const { who, threads, ms, cpuMs, difference, peakBytes } = outcome;
  const time = timeColumns({ samples: ms, cpuMs: spreadOf(cpuMs).median });
  const ours = all.find((one) => one.who === 'ours' && one.threads === threads);
  return {
    ...{ who, threads, ...time },
    tokensPerSecond: (1000 * tokens) / Number(time.ms),
    gflops: flops / Number(time.ms) / 1e6,
    ...(ours && ratioColumns('timesOurs', spreadOf(ms.map((one, i) => one / ours.ms[i])))),
    ...(peakBytes !== undefined && { peakMegabytes: Math.round(peakBytes / 1e6) }),
    difference: difference.toExponential(0),
  };
}
