/** One decode step of each recurrence and of attention, at the shapes of published models. */

import type { InputOf } from '../lib/verify/arbitraries.ts';
import { runOnReference } from '../lib/verify/golden/run.ts';
import { Draws } from '../lib/verify/values.ts';
import type { OpName } from '../reference/ops.ts';
import { BATCHES, MAMBA_130M } from './shapes.ts';

export interface Case {
  op: OpName;
  batch: number;
  /** Bytes that the step must at least read and write: inputs, outputs, in float64. */
  bytes: number;
  run: () => unknown;
}

/** Steps of Mamba-1, Mamba-2 and attention over 512 tokens, for growing batches. */
export function stepCases(): Case[] {
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
