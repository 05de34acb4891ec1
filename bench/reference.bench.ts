/** The reference's own decode steps, timed by benny: each recurrence and attention at published shapes. */

import benny from 'benny';
import {
  checkLaw,
  Draws,
  type InputOf,
  lawsOf,
  referenceSubject,
  runOnReference,
} from '../lib/verify/index.ts';
import type { OpName } from '../reference/ops.ts';
import { type Column, print, type Report } from './report.ts';
import { BATCHES, MAMBA_130M } from './shapes.ts';

const COLUMNS: readonly Column[] = [
  ['op', 'op'],
  ['batch', 'batch'],
  ['ms', 'ms'],
  ['± %', 'marginPercent'],
  ['tokens/s', 'tokensPerSecond'],
  ['B/s', 'bytesPerSecond'],
];

interface Case {
  op: OpName;
  batch: number;
  /** Bytes that the step must at least read and write: inputs, outputs, in float64. */
  bytes: number;
  run: () => unknown;
}

export async function benchReference(report: Report): Promise<void> {
  const cases = stepCases();
  for (const op of new Set(cases.map((one) => one.op))) {
    for (const law of lawsOf(op)) {
      const { ok, counterexample } = await checkLaw(law, referenceSubject('float64'), { runs: 30 });
      if (!ok) throw new Error(`${op}: ${law.law}: ${JSON.stringify(counterexample)}`);
    }
  }
  print('all laws of the timed ops hold');
  await benny.suite(
    'one decode step, reference, float64',
    ...cases.map(({ op, batch, run }) =>
      benny.add(`${op}, batch ${batch}`, run, { minSamples: 5, maxTime: 1 }),
    ),
    benny.complete(({ results }) => {
      const rows = results.map(({ ops, margin }, i) => {
        const { op, batch, bytes } = cases[i];
        return {
          ...{ op, batch, who: 'reference', ms: 1000 / ops, marginPercent: margin },
          ...{ tokensPerSecond: ops * batch, bytesPerSecond: ops * bytes },
        };
      });
      report.table('reference', 'reference, float64', COLUMNS, rows);
    }),
  );
}

/** Steps of Mamba-1, Mamba-2 and attention over 512 tokens, for growing batches. */
function stepCases(): Case[] {
  const { dInner, dState, nHeads, headDim, dStateOfMamba2: wide } = MAMBA_130M;
  const draws = new Draws(1);
  const drawn = (...shape: number[]) => draws.tensorBetween(-1, 1, ...shape);
  return BATCHES.flatMap((batch): Case[] => {
    const scan: InputOf<'selectiveScanStep'> = {
      x: drawn(batch, dInner),
      dtRaw: drawn(batch, dInner),
      A: draws.tensorBetween(-16, -1, dInner, dState),
      B: drawn(batch, 1, dState),
      C: drawn(batch, 1, dState),
      D: drawn(dInner),
      z: drawn(batch, dInner),
      h: drawn(batch, dInner, dState),
    };
    const ssd: InputOf<'ssdStep'> = {
      x: drawn(batch, nHeads, headDim),
      dtRaw: drawn(batch, nHeads),
      A: draws.tensorBetween(-16, -1, nHeads),
      B: drawn(batch, 1, wide),
      C: drawn(batch, 1, wide),
      D: drawn(nHeads, 1),
      h: drawn(batch, nHeads, headDim, wide),
    };
    const attention: InputOf<'attentionStep'> = {
      q: drawn(batch, 12, 64),
      keys: drawn(batch, 512, 12, 64),
      values: drawn(batch, 512, 12, 64),
    };
    const toCase = <Name extends OpName>(op: Name, input: InputOf<Name>): Case => ({
      op,
      batch,
      bytes: 8 * Object.values(input).reduce((sum, t) => sum + (t?.data?.length ?? 0), 0),
      run: () => runOnReference(op, input),
    });
    return [
      toCase('selectiveScanStep', scan),
      toCase('ssdStep', ssd),
      toCase('attentionStep', attention),
    ];
  });
}
