/** What must hold of every op, whatever it computes. */

import { type OpName, ops } from '../../../reference/ops.ts';
import type { Tensor } from '../../../reference/tensor.ts';
import { INPUTS, type InputOf } from '../arbitraries.ts';
import { DifferenceError, expectSameOutputs, expectWithin } from '../compare.ts';
import { DEFINITIONS } from '../definitions/index.ts';
import { type Law, type LawSubject, law, tensorsOf } from './law.ts';
import { BATCHED, type Batched, pickRows, rowCount } from './rows.ts';
import { sameness } from './sameness.ts';

/** The laws of one op that do not depend on what it computes. */
export function generalLaws<Name extends OpName>(op: Name): Law[] {
  const inputs = INPUTS[op];
  const laws: Law[] = [
    law(op, 'gives the same bits twice', inputs, async ({ run }, input) => {
      expectSameOutputs(await run(op, input), await run(op, input));
      return 0;
    }),
    ...[
      law(op, 'leaves its inputs alone', inputs, async ({ run }, input) => {
        const copy = structuredClone(input);
        await run(op, input);
        expectSameOutputs(input, copy);
        return 0;
      }),
      law(op, 'ignores what an earlier call left behind', inputs, async ({ run }, input) => {
        // as if its buffers were poisoned: a kernel that reuses them must fill or clear them
        const before = structuredClone(await run(op, input));
        await run(op, allNaN(input)).catch(() => undefined); // it may refuse them
        expectSameOutputs(await run(op, input), before);
        return 0;
      }),
    ].map((memory) => ({ ...memory, isAboutMemory: true })),
  ];
  const batched = BATCHED[op];
  if (batched) laws.push(...rowLaws(op, batched));
  const definition = DEFINITIONS[op];
  if (definition) {
    laws.push(
      law(op, 'is what its equation says', inputs, async ({ run, calc }, input) => {
        const wanted = definition(input, calc);
        let worst = 0;
        // what was left out is not listed, and throws where it is read
        for (const [name, got] of tensorsOf((await run(op, input)) as object)) {
          if (wanted[name]) worst = Math.max(worst, expectWithin(name, got, wanted[name]));
        }
        return worst;
      }),
    );
  }
  return laws;
}

function rowLaws<Name extends OpName>(op: Name, batched: Batched): Law[] {
  const inputs = INPUTS[op];
  const alone = (subject: LawSubject, input: InputOf<Name>, rows: readonly number[]) =>
    subject.run(op, pickRows(input as object, batched.inputs, rows) as InputOf<Name>);
  const laws = [
    law(op, 'gives a row the same bits whatever its neighbours', inputs, async (subject, input) => {
      const together = (await subject.run(op, input)) as object;
      const same = await sameness(subject, op, input as object, together);
      const rows = Array.from({ length: rowCount(input as object, batched) }, (_, row) => row);
      let worst = 0;
      for (const some of [...rows.map((row) => [row]), rows.reverse()]) {
        const got = (await alone(subject, input, some)) as object;
        worst = Math.max(
          worst,
          same(got, (all) => pickRows(all, batched.outputs, some)),
        );
      }
      return worst;
    }),
  ];
  const main = batched.inputs[0];
  const throwsOnNaN: readonly OpName[] = ['chooseToken', 'greedyToken', 'filterLogits'];
  if (main === 'tokens' || throwsOnNaN.includes(op)) return laws;
  const keepsToItself = async (subject: LawSubject, input: InputOf<Name>) => {
    const rows = rowCount(input as object, batched);
    const clean = (await subject.run(op, input)) as object;
    const poisoned = structuredClone(input);
    const { data } = (poisoned as unknown as Record<string, Tensor>)[main];
    data[Math.floor(data.length / rows / 2)] = Number.NaN; // in the middle of row 0
    const output = (await subject.run(op, poisoned)) as object;
    const others = Array.from({ length: rows - 1 }, (_, i) => i + 1);
    const notPoisoned = (all: object) => pickRows(all, batched.outputs, others);
    const same = await sameness(subject, op, input as object, clean);
    const worst = same(notPoisoned(output), notPoisoned);
    if (!subject.showsNaN) return worst;
    const shown = tensorsOf(pickRows(output, batched.outputs, [0])).some(([, t]) =>
      t.data.some(Number.isNaN),
    );
    if (!shown && !hidesInput(op)) {
      throw new DifferenceError(`${main}: NaN went in and none came out`);
    }
    return worst;
  };
  laws.push(law(op, 'shows a NaN, in its own row only', inputs, keepsToItself));
  return laws;
}

/** The input with NaN in place of every number of every tensor. */
function allNaN<Input>(input: Input): Input {
  const poisoned = structuredClone(input);
  for (const [, { data }] of tensorsOf(poisoned as object)) data.fill(Number.NaN);
  return poisoned;
}

/** The matrix of a recurrence does not depend on x. */
function hidesInput(op: OpName): boolean {
  return op.endsWith('Matrix');
}

/** All ops that have general laws: all. */
export const OP_NAMES = Object.keys(ops) as OpName[];
