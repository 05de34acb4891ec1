/** Taking in prompts: tokens per second until the logits of each prompt's last token are there. */

import type { Backend, Executor } from '../backends/types.ts';
import { loadOn } from '../lib/backend.ts';
import { referenceExecutor } from '../lib/decode/referenceExecutor.ts';
import { plainExecutor } from '../lib/plan/index.ts';
import type { Vector } from '../reference/tensor.ts';
import { described } from './devices.ts';
import { runPlainLoops } from './plainLoops.ts';
import { type Column, print, type Report, type Row, timeColumns } from './report.ts';
import type { Settings } from './settings.ts';
import { expectSameLogits, promptOf, smallModel } from './smallModels.ts';
import { race, timesOf } from './timing.ts';

const COLUMNS: readonly Column[] = [
  ['model', 'model'],
  ['batch', 'batch'],
  ['tokens', 'seqlen'],
  ['who', 'who'],
  ['ms', 'ms'],
  ['CPU ms', 'cpuMs'],
  ['tokens/s', 'tokensPerSecond'],
  ['× reference', 'timesReference'],
];

interface Runner {
  name: string;
  ran?: string;
  executor: Executor;
}

export async function benchPrefill(
  backends: readonly Backend[],
  { models, quick, seconds, capSeconds }: Settings,
  report: Report,
): Promise<void> {
  const seqlen = quick ? 64 : 512;
  for (const name of models) {
    const model = smallModel(name);
    let runners: Runner[] = [
      { name: 'reference', executor: referenceExecutor(model) },
      { name: 'plain loops', executor: plainExecutor(model, runPlainLoops) },
    ];
    for (const backend of backends) {
      const executor = await loadOn(backend, model);
      runners.push({ name: backend.info.backend, ran: described(backend.info), executor });
    }
    for (const batch of quick ? [1] : [1, 8]) {
      const prompts = Array.from({ length: batch }, (_, b) => promptOf(seqlen, b));
      const rows = await timePrefill(runners, prompts, seconds);
      const full = rows.map((row) => ({ model: name, batch, seqlen, ...row }));
      report.table('prefill', `prefill of ${name}`, COLUMNS, full);
      const isFeasible = ({ name }: Runner) => {
        const ms = Number(rows.find(({ who }) => who === name)?.ms);
        if (8 * ms <= 1000 * capSeconds) return true;
        print(`${name}: not run at batch ${8 * batch}: about ${((8 * ms) / 1000).toFixed(0)} s`);
        return false;
      };
      if (!quick && batch === 1) runners = runners.filter(isFeasible);
    }
    for (const { executor } of runners) await executor.close();
  }
}

async function timePrefill(
  runners: readonly Runner[],
  prompts: readonly (readonly number[])[],
  seconds: number,
): Promise<Row[]> {
  let want: readonly Vector[] | undefined;
  for (const { name, executor } of runners) {
    const got = await prefillOnce(executor, prompts);
    want ??= got;
    expectSameLogits(name, got, want);
  }
  const timings = await race(
    runners.map(
      ({ executor }) =>
        () =>
          prefillOnce(executor, prompts),
    ),
    { seconds },
  );
  const tokens = prompts.reduce((sum, { length }) => sum + length, 0);
  return runners.map(({ name, ran }, i) => {
    const time = timeColumns(timings[i]);
    return {
      who: name,
      ran,
      ...time,
      tokensPerSecond: (1000 * tokens) / Number(time.ms),
      timesReference: timesOf(timings[i], timings[0]).median,
    };
  });
}

async function prefillOnce(
  executor: Executor,
  prompts: readonly (readonly number[])[],
): Promise<Vector[]> {
  const results = await executor.prefill(prompts);
  for (const { row } of results) executor.release(row);
  return results.map(({ logits }) => logits);
}
