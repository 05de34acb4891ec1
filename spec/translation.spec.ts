/** Our ops written as cases of upstream's: what the oracle answers to them is what our ops give, to the bit. */

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { filesFromBlobs, sourceFromBytes } from '../lib/checkpoint/files.ts';
import { encodeSafetensors, TensorFile } from '../lib/checkpoint/tensorFile.ts';
import { INPUTS } from '../lib/verify/arbitraries.ts';
import { expectSameOutputs } from '../lib/verify/compare.ts';
import { acceptsInput, EXEC_OPS } from '../lib/verify/exec/index.ts';
import { writeCase } from '../lib/verify/exec/names.ts';
import { TRANSLATIONS } from '../lib/verify/golden/adapters.ts';
import { runCase, runOnReference } from '../lib/verify/golden/run.ts';
import {
  Answer,
  encodeCase,
  type Translation,
  type WrittenCase,
} from '../lib/verify/golden/translation.ts';
import type { Drawn } from '../lib/verify/inputs/drawn.ts';
import { inPrecision } from '../lib/verify/laws/law.ts';
import type { OpName } from '../reference/ops.ts';
import type { Precision } from '../reference/tensor.ts';
import { path, RUNS, SEED } from './support.ts';

const inputsOf = (op: OpName) => INPUTS[op] as unknown as fc.Arbitrary<Drawn<object>>;

/** What upstream's ops do not give out. */
const UNTOLD = ['entering', 'written'];

/** Writes a case, has the oracle answer it, and reads the answer, all through the bytes of files. */
async function throughFiles(op: OpName, input: object, precision: Precision): Promise<object> {
  const bytes = encodeCase(writeCase(op, input) as WrittenCase, 'drawn');
  const file = await TensorFile.open(sourceFromBytes(bytes));
  const outputs = await runCase(file, { files: filesFromBlobs({}), precision });
  const answer = await TensorFile.open(sourceFromBytes(encodeSafetensors(outputs)));
  const translation = TRANSLATIONS[op] as Translation<OpName>;
  return translation.read(new Answer(answer, precision), input as never);
}

describe.each(EXEC_OPS)('%s as a case', (op) => {
  // counts have no precision
  const precisions = op === 'passAtK' ? (['float64'] as const) : (['float64', 'float32'] as const);
  it.each(precisions)('gives the bits of the op, in %s', (precision) =>
    fc.assert(
      fc.asyncProperty(inputsOf(op), async (drawn) => {
        const input = inPrecision(drawn.input, precision);
        fc.pre(acceptsInput(op, input));
        const all = Object.entries((await runOnReference(op, input as never)) as object);
        const want = Object.fromEntries(all.filter(([name]) => !UNTOLD.includes(name)));
        const got = await throughFiles(op, input, precision);
        expect(Object.keys(got).sort()).toEqual(Object.keys(want).sort());
        expectSameOutputs(got, want);
      }),
      { numRuns: RUNS, seed: SEED },
    ),
  );

  it('looks like the recorded cases of that op', () =>
    fc.assert(
      fc.property(inputsOf(op), ({ input }) => {
        const written = writeCase(op, input);
        fc.pre(written !== undefined);
        expectLooks(written as WrittenCase);
      }),
      { numRuns: RUNS, seed: SEED },
    ));
});

interface GoldenEntry {
  kind: string;
  op: string;
  attrs: Record<string, unknown>;
  inputs: Record<string, { dtype: string; shape: number[] }>;
}
const GOLDEN: GoldenEntry[] = JSON.parse(
  readFileSync(path('fixtures/golden/index.json'), 'utf8'),
).cases.filter(({ kind }: GoldenEntry) => kind === 'op');

/** Attributes that only explain a case. */
const EXPLAINING = ['layout', 'formula', 'style', 'prefix_len'];

/** Upstream's optional inputs that every recorded case has, and some that none has. */
const OPTIONAL = ['bias', 'D', 'z', 'delta_bias'];
const UNRECORDED = ['fc1.bias', 'fc2.bias'];

/** Names, ranks and kinds of numbers as recorded; and what every recorded case has is there. */
function expectLooks({ op, tensors, attributes }: WrittenCase): void {
  const recorded = GOLDEN.filter((entry) => entry.op === op);
  expect(recorded.length, op).toBeGreaterThan(0);
  const present = Object.entries(tensors).filter(([, value]) => value !== undefined);
  for (const [name, value] of present) {
    if (value === undefined || UNRECORDED.includes(name)) continue;
    const isInteger = 'integers' in value;
    const rank = (isInteger ? value.integers : value).shape.length;
    const forms = recorded.flatMap(({ inputs }) => inputs[name] ?? []);
    expect(
      forms.map(({ shape }) => shape.length),
      name,
    ).toContain(rank);
    expect(
      forms.every(({ dtype }) => (dtype === 'I64') === isInteger),
      name,
    ).toBe(true);
  }
  const inAll = (part: 'inputs' | 'attrs') =>
    Object.keys(recorded[0][part]).filter((name) => recorded.every((r) => name in r[part]));
  const names = (of: object) => expect.arrayContaining(Object.keys(of));
  const owed = inAll('inputs').filter((name) => !OPTIONAL.includes(name));
  expect(present.map(([name]) => name)).toEqual(expect.arrayContaining(owed));
  const told = inAll('attrs').filter((name) => !EXPLAINING.includes(name));
  expect(Object.keys(attributes)).toEqual(expect.arrayContaining(told));
  expect(recorded.flatMap(({ attrs }) => Object.keys(attrs))).toEqual(names(attributes));
}
