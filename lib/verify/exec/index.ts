/**
 * Any program in any language as a runner of ops: `CMD IN OUT` reads a folder of cases in upstream's
 * vocabulary and writes a file of the same name with its outputs for each. Starting a program costs more than
 * computing a case, so calls made at the same time share one run of it.
 */

import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { UnsupportedError } from '../../../reference/errors.ts';
import type { OpName } from '../../../reference/ops.ts';
import { isTensor, type Precision } from '../../../reference/tensor.ts';
import { printable } from '../../checkpoint/errors.ts';
import { openRegular } from '../../checkpoint/nodeFiles.ts';
import { TensorFile } from '../../checkpoint/tensorFile.ts';
import { TRANSLATIONS } from '../golden/adapters.ts';
import type { RunOp } from '../golden/case.ts';
import { Answer, encodeCase, type Translation, type WrittenCase } from '../golden/translation.ts';
import { writeCase } from './names.ts';
import { ExecError, runProgram } from './program.ts';

export { acceptsInput, EXEC_OPS, type NamedOp, opNamed, opsNamed } from './names.ts';
export { type ExecCode, ExecError } from './program.ts';

export interface ExecOptions {
  /** The ops that the program has. Default: all that have a form in upstream's vocabulary. */
  ops?: readonly OpName[];
  /** Upstream's names of ops that were asked for by them: they take less than ours. */
  golden?: ReadonlyMap<OpName, string>;
  /** Allowed for one run of the program on a batch. Default 60. */
  timeoutSeconds?: number;
  /** Ends the program; every call that waits is rejected with its reason. */
  signal?: AbortSignal;
}

export interface Exec {
  /**
   * Runs one op in the program. Outputs that the program leaves out are absent; the one that the op is for
   * never is.
   *
   * Rejects with ExecError where the program fails, and with UnsupportedError (code `ExecInput`) for an input
   * that {@link Exec.accepts} does not take.
   */
  readonly run: RunOp;
  /** Whether the program can be given an input. */
  accepts(op: OpName, input: unknown): boolean;
  /** Calls that share a run of the program. */
  readonly concurrency: number;
  /** Ends the program if it runs, and rejects what waits. */
  close(): Promise<void>;
}

/** Cases in one run of the program. */
const LARGEST_BATCH = 500;

/** One call that waits for its answer. */
interface Call {
  /** Name of its file and of the case in messages. */
  readonly id: string;
  readonly op: OpName;
  readonly input: object;
  readonly written: WrittenCase;
  resolve(output: never): void;
  reject(error: unknown): void;
}

/** Opens a program. It is started when there is something to compute. */
export async function openExec(command: string, options: ExecOptions = {}): Promise<Exec> {
  const { ops, golden, timeoutSeconds = 60 } = options;
  const closing = new AbortController();
  const signal = options.signal
    ? AbortSignal.any([options.signal, closing.signal])
    : closing.signal;
  const shown = printable(command, 80);
  const queue: Call[] = [];
  let called = 0;
  let draining: Promise<void> | undefined;

  const write = (op: OpName, input: unknown) =>
    (ops?.includes(op) ?? true) ? writeCase(op, input, golden?.get(op)) : undefined;

  const run = (op: OpName, input: object) =>
    new Promise<never>((resolve, reject) => {
      const written = write(op, input);
      if (!written) {
        const name = golden?.get(op) ?? op;
        throw new UnsupportedError(`${name}: no case can express this input`, 'ExecInput');
      }
      const id = `${written.op}-${String(called++).padStart(6, '0')}`;
      queue.push({ id, op, input, written, resolve, reject });
      draining ??= drain();
    });

  /** Runs what is queued, batch by batch, until nothing is. */
  async function drain(): Promise<void> {
    while (queue.length > 0) {
      await quiet();
      const batch = queue.splice(0, LARGEST_BATCH);
      try {
        signal.throwIfAborted();
        await settle(batch);
      } catch (error) {
        for (const call of batch) call.reject(error);
      }
    }
    draining = undefined; // in the same turn as the last look at the queue
  }

  /** Waits until no call has been added for two turns of the event loop. */
  async function quiet(): Promise<void> {
    for (let length = -1; length !== queue.length; ) {
      length = queue.length;
      await turn();
      await turn();
    }
  }

  /**
   * Gives every call of a batch its answer. When the program fails, the first case to blame is looked for: the
   * first of all, then by halves. So the calls before the first that fails have answers, that one fails alone
   * as well, and those behind it fail with it, untried: a program that always fails is started twice.
   */
  async function settle(batch: readonly Call[], isWhole = true): Promise<ExecError | undefined> {
    const { failure, settlements } = await attempt(batch);
    for (const settle of settlements) settle();
    if (!failure) return undefined;
    const left = batch.slice(settlements.length);
    if (batch.length === 1) {
      left[0].reject(failure);
      return failure;
    }
    if (failure.code === 'ExecTimeout') return settleLate(left, failure);
    const middle = Math.ceil(batch.length / 2);
    const cuts = isWhole ? [0, 1, middle] : [0, middle];
    let found: ExecError | undefined;
    for (const [i, from] of cuts.entries()) {
      const piece = batch.slice(from, cuts[i + 1]);
      if (!found && piece.length > 0) found = await settle(piece, false);
      else for (const call of piece) call.reject(found);
    }
    return found;
  }

  /** What the program had not answered when its time was up: the first is tried alone, the others fail. */
  async function settleLate(
    [first, ...others]: readonly Call[],
    failure: ExecError,
  ): Promise<ExecError> {
    const found = (await settle([first], false)) ?? failure;
    for (const call of others) call.reject(found);
    return found;
  }

  /**
   * Runs the program on a batch. Where it fails as a whole nobody is answered, unless it was late: then all up to
   * the last before the first without an answer.
   */
  async function attempt(
    batch: readonly Call[],
  ): Promise<{ failure?: ExecError; settlements: (() => void)[] }> {
    const settlements: (() => void)[] = [];
    try {
      await inFolder(async (folder) => {
        const [input, output] = [join(folder, 'in'), join(folder, 'out')];
        for (const path of [input, output]) await mkdir(path);
        for (const { id, written } of batch) {
          await writeFile(join(input, fileOf(id)), encodeCase(written, id));
        }
        const work = batch.length === 1 ? caseOf(batch[0]) : `a batch of ${batch.length} cases`;
        const answerOf = (call: Call) => readAnswer(join(output, fileOf(call.id)), call);
        try {
          const lastWords = await runProgram({
            command,
            folders: [input, output],
            timeoutSeconds,
            signal,
            who: `${shown}: ${work}`,
          });
          for (const call of batch) {
            settlements.push(await answerOf(call).then(resolving(call), refusing(call, lastWords)));
          }
        } catch (error) {
          if (!(error instanceof ExecError && error.code === 'ExecTimeout')) throw error;
          for (const call of batch.slice(0, -1)) {
            const settle = await answerOf(call).then(resolving(call), () => undefined);
            if (!settle) break;
            settlements.push(settle);
          }
          throw error;
        }
      });
    } catch (error) {
      if (error instanceof ExecError) return { failure: error, settlements };
      throw error;
    }
    return { settlements };
  }

  const resolving = (call: Call) => (answer: never) => () => call.resolve(answer);

  const refusing = (call: Call, lastWords: string) => (error: unknown) => {
    const problem = outputError(error, `${shown}: ${caseOf(call)}`, lastWords);
    return () => call.reject(problem);
  };

  return {
    run: run as RunOp,
    accepts: (op, input) => write(op, input) !== undefined,
    concurrency: LARGEST_BATCH,
    close: async () => {
      closing.abort(new UnsupportedError(`${shown}: closed`, 'ExecClosed'));
      await draining;
    },
  };
}

const fileOf = (id: string) => `${id}.safetensors`;
const caseOf = ({ id }: Call) => `case ${id}`;

/** Lends a folder that is gone afterwards, also when this process ends in between. */
async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'selscan-exec-'));
  const removeNow = () => rmSync(folder, { recursive: true, force: true });
  process.on('exit', removeNow);
  try {
    await use(folder);
  } finally {
    process.off('exit', removeNow);
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function readAnswer(path: string, { op, input, id }: Call): Promise<never> {
  const file = await TensorFile.open(await openRegular(path, fileOf(id)));
  try {
    const translation = TRANSLATIONS[op] as Translation<OpName>;
    return (await translation.read(new Answer(file, precisionOf(input)), input as never)) as never;
  } finally {
    await file.close();
  }
}

/** The precision of an input's tensors; counts have none and give Float64. */
function precisionOf(input: object): Precision {
  const first = Object.values(input).find(isTensor);
  return first?.data instanceof Float32Array ? 'float32' : 'float64';
}

function outputError(error: unknown, who: string, lastWords: string): ExecError {
  const problem = error instanceof Error ? error.message : String(error);
  return new ExecError('ExecOutput', `${who}: ${problem}`, lastWords, { cause: error });
}
