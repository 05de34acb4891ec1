/** Whole decode steps of small models: our executor, the naive port, plain loops and the reference. */

import type { Backend } from '../backends/types.ts';
import { buildPlan, costOf, totalCost, trafficOf } from '../lib/plan/index.ts';
import type { Model } from '../reference/model.ts';
import { copyBandwidth } from './bandwidth.ts';
import {
  type Contestant,
  naiveName,
  plainContestant,
  referenceContestant,
  rivals,
  type Start,
} from './contestants.ts';
import { described } from './devices.ts';
import { type Column, print, type Report, type Row, ratioColumns, timeColumns } from './report.ts';
import type { Settings } from './settings.ts';
import {
  expectSameLogits,
  PROMPT_TOKENS,
  smallModel,
  stateAfterPrompt,
  tokensAt,
} from './smallModels.ts';
import { race, timesOf } from './timing.ts';

const COLUMNS: readonly Column[] = [
  ['model', 'model'],
  ['batch', 'batch'],
  ['who', 'who'],
  ['ms a step', 'ms'],
  ['CPU ms', 'cpuMs'],
  ['tokens/s', 'tokensPerSecond'],
  ['× naive', 'timesNaive'],
  ['× plain', 'timesPlain'],
  ['MAC/s', 'macsPerSecond'],
  ['B/s', 'bytesPerSecond'],
  ['% of copy', 'percentOfCopy'],
];

/** Steps compared with the reference before any is timed: the second meets what the first has stored. */
const VERIFIED_STEPS = 2;

export async function benchSteps(
  backends: readonly Backend[],
  { models, batches, seconds }: Settings,
  report: Report,
): Promise<void> {
  const bandwidth = copyBandwidth();
  print(
    `copying memory: ${(bandwidth / 1e9).toFixed(1)} GB/s, read and written, one thread\n` +
      '× naive: how many times as long the naive port on the same backend takes, round by round',
  );
  for (const name of models) {
    const model = smallModel(name);
    const state = await stateAfterPrompt(model);
    for (const batch of batches) {
      const rows = await timeStep(backends, { model, state, batch }, seconds);
      const { macs, bytes } = workOf(model, batch);
      const full = rows.map((row) => ({
        model: name,
        batch,
        ...row,
        tokensPerSecond: (1000 * batch) / Number(row.ms),
        macsPerSecond: (1000 * macs) / Number(row.ms),
        bytesPerSecond: (1000 * bytes) / Number(row.ms),
        percentOfCopy: (100 * 1000 * bytes) / Number(row.ms) / bandwidth,
      }));
      const work = `${(macs / 1e6).toFixed(1)} M MACs, ${(bytes / 1e6).toFixed(1)} MB a step`;
      report.table('steps', `${name}, batch ${batch}: ${work}`, COLUMNS, full);
    }
  }
}

async function timeStep(
  backends: readonly Backend[],
  start: Start,
  seconds: number,
): Promise<Row[]> {
  const contestants = [await referenceContestant(start), plainContestant(start)];
  for (const backend of backends) contestants.push(...(await rivals(backend, start)));
  await verify(contestants, start.batch);
  for (const contestant of contestants) contestant.startTiming?.();
  const timings = await race(
    contestants.map((contestant) => stepper(contestant, start.batch)),
    { seconds },
  );
  const timingOf = (name: string) => timings[contestants.findIndex((one) => one.name === name)];
  for (const contestant of contestants) await contestant.close();
  return contestants.map(({ name, backend }, i) => {
    const naive = backend && timingOf(naiveName(name));
    return {
      who: name,
      ran: backend && described(backend.info),
      ...timeColumns(timings[i]),
      ...(naive && ratioColumns('timesNaive', timesOf(timings[i], naive))),
      timesPlain: timesOf(timings[i], timingOf('plain loops')).median,
    };
  });
}

/** The reference, which comes first, against all others. */
async function verify([reference, ...others]: readonly Contestant[], batch: number) {
  for (let n = 0; n < VERIFIED_STEPS; n++) {
    const tokens = tokensAt(n, batch);
    const want = await reference.step(tokens);
    for (const other of others) expectSameLogits(other.name, await other.step(tokens), want);
  }
}

/** Steps on and on, a new token for each row every time. */
export function stepper(contestant: Contestant, batch: number): () => Promise<unknown> {
  let n = VERIFIED_STEPS;
  return () => contestant.step(tokensAt(n++, batch));
}

/** What a step of all rows must compute and move, counted from its plan. */
function workOf(model: Model, batch: number): { macs: number; bytes: number } {
  const load = { rows: batch, tokens: 1, position: PROMPT_TOKENS };
  const cost = totalCost(costOf(buildPlan(model.config, 'step'), load));
  return { macs: cost.macs, bytes: trafficOf(cost) };
}
