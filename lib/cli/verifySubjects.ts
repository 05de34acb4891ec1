/** Who `selscan verify` is to judge: backends, a file of kernels, a program. */

import type { BackendInfo } from '../../backends/types.ts';
import { ConfigError } from '../../reference/errors.ts';
import { type OpName, ops } from '../../reference/ops.ts';
import type { Precision } from '../../reference/tensor.ts';
import { EXEC_OPS, openExec, opsNamed } from '../verify/exec/index.ts';
import { openKernelFile } from '../verify/kernelFile.ts';
import { hasOp, type Subject } from '../verify/laws/law.ts';
import { backendSubject, kernelSubject, referenceSubject } from '../verify/subject.ts';

export interface VerifyFlags {
  op?: string[];
  backend?: string[];
  kernel?: string;
  exec?: string;
  runs?: number;
  seed: number;
  law?: string[];
  path?: string;
  precision: Precision;
  timeout?: number;
  certificate?: string;
  json?: boolean;
}

/** Somebody to judge, and what a certificate says of them. */
export interface Judged {
  subject: Subject;
  /** The ops that were asked for; all that the subject has when absent. */
  ops?: OpName[];
  ran: { backend?: BackendInfo | { backend: string }; kernel?: object; exec?: object };
  close(): Promise<void>;
}

/** A backend that cannot run here, and why. */
export interface Absent {
  name: string;
  why: string;
}

/** Ops by our names or upstream's, and upstream's names where those were used. */
function askedOps(names: readonly string[] | undefined) {
  if (!names) return undefined;
  const golden = new Map<OpName, string>();
  const asked = names.flatMap((name) => {
    const found = opsNamed(name);
    if (found.length === 0) {
      throw new ConfigError(
        `op: expected the name of an op (${Object.keys(ops).join(', ')}) or of a golden case, got ${name}`,
      );
    }
    for (const { op, golden: upstream } of found) if (upstream) golden.set(op, upstream);
    return found.map(({ op }) => op);
  });
  return { ops: [...new Set(asked)], golden };
}

/** Opens everyone that the flags name, one after the other; whoever asks for them closes them. */
export async function* openJudged(
  flags: VerifyFlags,
  absent: Absent[],
  signal: AbortSignal,
): AsyncGenerator<Judged> {
  const asked = askedOps(flags.op);
  if (flags.exec !== undefined) yield await openProgram(flags.exec, flags, asked, signal);
  else if (flags.kernel !== undefined) yield await openFile(flags.kernel, flags, asked?.ops);
  else if (flags.backend) {
    for (const name of flags.backend) yield await openNamed(name, flags.precision, asked?.ops);
  } else yield* openPresent(flags.precision, asked?.ops, absent);
}

async function openProgram(
  command: string,
  { timeout, precision }: VerifyFlags,
  asked: ReturnType<typeof askedOps>,
  signal: AbortSignal,
): Promise<Judged> {
  if (!asked) {
    throw new ConfigError(
      'op: expected --op with --exec, the op that the program computes, got none',
    );
  }
  const timeoutSeconds = timeout ?? 60;
  const unsayable = asked.ops.find((op) => !EXEC_OPS.includes(op));
  if (unsayable) {
    throw new ConfigError(
      `op: expected one that golden cases can express (${EXEC_OPS.join(', ')}), got ${unsayable}`,
    );
  }
  const program = await openExec(command, { ...asked, timeoutSeconds, signal });
  const subject = kernelSubject(program.run, asked.ops, {
    name: command,
    precision,
    concurrency: program.concurrency,
    accepts: (op, input) => program.accepts(op, input),
    // the program's own limit comes first; a batch is started again to find out which case is to blame
    timeoutSeconds: 100 * timeoutSeconds,
    isPartial: true,
    isApart: true,
  });
  return {
    subject,
    ops: asked.ops,
    ran: { exec: { command } },
    close: () => program.close(),
  };
}

async function openFile(
  file: string,
  { timeout, precision }: VerifyFlags,
  asked: OpName[] | undefined,
): Promise<Judged> {
  const opened = await openKernelFile(file, { precision, timeoutSeconds: timeout });
  const { subject, sha256 } = opened;
  return {
    subject,
    ...(asked && { ops: asked }),
    ran: { kernel: { file, sha256 } },
    close: () => opened.close(),
  };
}

async function openNamed(
  name: string,
  precision: Precision,
  asked: OpName[] | undefined,
): Promise<Judged> {
  const chosen = asked && { ops: asked };
  if (name === 'reference') {
    const subject = referenceSubject(precision);
    return { subject, ...chosen, ran: { backend: { backend: name } }, close: async () => {} };
  }
  const { openBackend } = await import('../../backends/index.ts');
  const backend = await openBackend(name);
  const subject = backendSubject(backend.info, backend.ops);
  return { subject, ...chosen, ran: { backend: backend.info }, close: () => backend.close() };
}

/** Every backend of this machine that has one of the ops; the others are added to those that are absent. */
async function* openPresent(
  precision: Precision,
  asked: OpName[] | undefined,
  absent: Absent[],
): AsyncGenerator<Judged> {
  yield await openNamed('reference', precision, asked);
  const { presentBackends } = await import('../../backends/index.ts');
  for (const { name, absent: why } of await presentBackends()) {
    if (why !== undefined) {
      absent.push({ name, why });
      continue;
    }
    const judged = await openNamed(name, precision, undefined);
    const ops = asked?.filter((op) => hasOp(judged.subject, op));
    if (ops?.length !== 0) yield { ...judged, ...(ops && { ops }) };
    else {
      await judged.close();
      absent.push({ name, why: `it has no ${asked?.join(' and no ')}` });
    }
  }
}
