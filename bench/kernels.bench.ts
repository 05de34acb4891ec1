/** Single kernels from host arrays to host arrays: verified, then timed in turns. */

import type { Backend } from '../backends/types.ts';
import { runOnOps } from '../lib/referenceOps.ts';
import {
  backendSubject,
  checkLaw,
  expectClose,
  inPrecision,
  kernelsSubject,
  lawsOf,
  type RunOp,
  referenceSubject,
  runOnReference,
  type Subject,
} from '../lib/verify/index.ts';
import type { OpName } from '../reference/ops.ts';
import { isTensor, type Tensor } from '../reference/tensor.ts';
import { described } from './devices.ts';
import { KERNEL_CASES, type KernelCase } from './kernelCases.ts';
import { PLAIN_LOOPS, runPlainLoops } from './plainLoops.ts';
import { type Column, print, type Report, type Row, ratioColumns, timeColumns } from './report.ts';
import type { Settings } from './settings.ts';
import { largestOf } from './smallModels.ts';
import { clock, race, timesOf } from './timing.ts';

const COLUMNS: readonly Column[] = [
  ['op', 'op'],
  ['batch', 'batch'],
  ['tokens', 'seqlen'],
  ['who', 'who'],
  ['ms', 'ms'],
  ['CPU ms', 'cpuMs'],
  ['tokens/s', 'tokensPerSecond'],
  ['B/s', 'bytesPerSecond'],
  ['× plain', 'timesPlain'],
];

/** Who runs ops, and how it is judged. */
interface Runner {
  name: string;
  ran?: string;
  run: RunOp;
  subject: Subject;
}

/** Largest error allowed in what is timed, as a share of the largest number of an output. */
const TOLERANCE = 1e-4;

export async function benchKernels(
  backends: readonly Backend[],
  settings: Settings,
  report: Report,
): Promise<void> {
  const runners: Runner[] = [
    { name: 'reference', run: runOnReference, subject: referenceSubject('float64') },
    { name: 'plain loops', run: runPlainLoops, subject: kernelsSubject(PLAIN_LOOPS) },
    ...backends.map(({ info, ops }) => ({
      name: info.backend,
      ran: described(info),
      run: runOnOps(info.backend, ops),
      subject: backendSubject(info, ops),
    })),
  ];
  print(
    'All contestants take and give host arrays, float32 (the reference float64): on a device this\n' +
      'includes laying out, uploading and reading back. × plain: times as fast as plain loops.\n' +
      'B/s counts each input and output once, as float32.',
  );
  for (const kernel of KERNEL_CASES) {
    if (settings.ops.length > 0 && !settings.ops.includes(kernel.op)) continue;
    for (const { subject } of runners) await verifyLaws(kernel.op, subject, settings);
    const rows = await timeSizes(kernel, runners, settings);
    report.table('kernels', `${kernel.op}: ${kernel.shape}`, COLUMNS, rows);
  }
}

/** @throws Error with the counterexample where a law of the op does not hold. */
async function verifyLaws(op: OpName, subject: Subject, { quick }: Settings): Promise<void> {
  for (const law of lawsOf(op)) {
    const { ok, counterexample } = await checkLaw(law, subject, { runs: quick ? 2 : 5 });
    if (ok) continue;
    throw new Error(`${subject.name}: ${op}: ${law.law}: ${JSON.stringify(counterexample)}`);
  }
}

/** Times a kernel at growing sizes; who would take too long at a size is left out from there on. */
async function timeSizes(
  kernel: KernelCase,
  runners: readonly Runner[],
  { batches, seqlens, seconds, capSeconds }: Settings,
): Promise<Row[]> {
  const isStep = kernel.kind === 'step';
  const rows: Row[] = [];
  let left = runners.map((runner) => ({ runner, lastSeconds: 0 }));
  let before = 0;
  for (const size of isStep ? batches : seqlens) {
    const growth = before && (size / before) ** (kernel.isQuadratic ? 2 : 1);
    const place = `${kernel.op}, ${isStep ? 'batch' : 'sequence'} ${size}`;
    left = left.filter(({ runner, lastSeconds }) => {
      const expected = lastSeconds * growth;
      if (expected <= capSeconds) return true;
      print(
        `${place}: ${runner.name} not run: about ${expected.toFixed(0)} s, at most ${capSeconds}`,
      );
      return false;
    });
    if (left[0]?.runner.name !== 'reference') {
      print(`${place}: nobody is timed without the reference to compare with`);
      break;
    }
    const [batch, seqlen] = isStep ? [size, 1] : [1, size];
    const { verified, bytes } = await verifyInput(kernel, left, batch, seqlen, place);
    left = verified;
    rows.push(...(await timeOne(kernel, left, { batch, seqlen, bytes, seconds })));
    before = size;
  }
  return rows;
}

interface Verified {
  runner: Runner;
  /** What the call took that was compared with the reference's. */
  lastSeconds: number;
}

/** Compares the results on the very input that is to be timed; who fails to run at all is left out. */
async function verifyInput(
  { op, make }: KernelCase,
  left: readonly Verified[],
  batch: number,
  seqlen: number,
  place: string,
): Promise<{ verified: Verified[]; bytes: number }> {
  const input = make(batch, seqlen);
  const verified: Verified[] = [];
  let want: Tensors | undefined;
  for (const { runner } of left) {
    const given = inPrecision(input, runner.subject.precision);
    let got: Tensors | undefined;
    const call = async () => {
      got = tensorsOf(await runner.run(op, given as never));
    };
    try {
      const { ms } = await clock(call);
      verified.push({ runner, lastSeconds: ms / 1000 });
    } catch (error) {
      print(`${place}: ${runner.name} failed: ${String(error).slice(0, 160)}`);
      continue;
    }
    want ??= got;
    for (const [name, wanted] of Object.entries(want ?? {})) {
      const absolute = TOLERANCE * largestOf(wanted.data);
      expectClose(`${place}: ${runner.name}: ${name}`, got?.[name] as Tensor, wanted, { absolute });
    }
  }
  const numbers = [...Object.values(tensorsOf(input)), ...Object.values(want ?? {})];
  return { verified, bytes: 4 * numbers.reduce((sum, { data }) => sum + data.length, 0) };
}

type Tensors = Record<string, Tensor>;

const tensorsOf = (values: object): Tensors =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => isTensor(value)));

async function timeOne(
  { op, make, shape }: KernelCase,
  left: readonly Verified[],
  size: { batch: number; seqlen: number; bytes: number; seconds: number },
): Promise<Row[]> {
  const { batch, seqlen, bytes, seconds } = size;
  const input = make(batch, seqlen);
  const timings = await race(
    left.map(({ runner }) => {
      const given = inPrecision(input, runner.subject.precision);
      return () => runner.run(op, given as never);
    }),
    { seconds },
  );
  const plain = timings[left.findIndex(({ runner }) => runner.name === 'plain loops')];
  return left.map(({ runner: { name, ran } }, i) => {
    const time = timeColumns(timings[i]);
    const perSecond = 1000 / Number(time.ms);
    return {
      ...{ op, shape, batch, seqlen, who: name, ran, ...time },
      tokensPerSecond: batch * seqlen * perSecond,
      bytesPerSecond: bytes * perSecond,
      ...(plain && ratioColumns('timesPlain', timesOf(timings[i], plain))),
    };
  });
}
