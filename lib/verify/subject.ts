/** Who can be judged: the reference, functions of other people, and the backends of this package. */

import type { BackendInfo, BackendOps, RunOp } from '../../backends/types.ts';
import { UnsupportedError } from '../../reference/errors.ts';
import { type OpName, type Ops, ops } from '../../reference/ops.ts';
import type { Precision } from '../../reference/tensor.ts';
import { runOnReference } from '../referenceOps.ts';
import { type GuardOptions, guarded } from './guard.ts';
import type { Subject } from './laws/law.ts';
import {
  FLOAT32,
  FLOAT64,
  GLSL32,
  IEEE32_KERNEL,
  IEEE64_KERNEL,
  type Machine,
  WGSL32,
} from './machines.ts';

/** Functions named like ops that take and return the op's own input and output, at once or later. */
export type Kernels = {
  readonly [Name in OpName]?: (
    input: Parameters<Ops[Name]>[0],
  ) => ReturnType<Ops[Name]> | Promise<ReturnType<Ops[Name]>>;
};

export interface KernelSubjectOptions extends GuardOptions {
  /** What reports call it. Default `kernel`. */
  name?: string;
  /** Precision of the tensors that it is given, and of the bounds that it is held to. Default float32. */
  precision?: Precision;
  concurrency?: number;
  accepts?: Subject['accepts'];
  isApart?: boolean;
}

const OP_NAMES = Object.keys(ops) as OpName[];

/** Names among some that are ops. */
export function opsAmong(names: Iterable<string>): OpName[] {
  const known = new Set(names);
  return OP_NAMES.filter((op) => known.has(op));
}

/** The reference, in one of its precisions. */
export function referenceSubject(precision: Precision): Subject {
  return {
    name: 'reference',
    run: runOnReference,
    precision,
    machine: precision === 'float32' ? FLOAT32 : FLOAT64,
    isBitwise: true,
    showsNaN: true,
  };
}

/** Any way of running some ops, held to what kernels of a precision owe. */
export function kernelSubject(
  call: RunOp,
  has: readonly OpName[],
  {
    name = 'kernel',
    precision = 'float32',
    concurrency,
    accepts,
    isApart,
    ...guard
  }: KernelSubjectOptions = {},
): Subject {
  return {
    name,
    run: guarded(call, guard),
    precision,
    machine: precision === 'float32' ? IEEE32_KERNEL : IEEE64_KERNEL,
    isBitwise: false,
    showsNaN: true,
    ops: has,
    ...(concurrency !== undefined && { concurrency }),
    ...(accepts && { accepts }),
    ...(isApart && { isApart }),
  };
}

/** Kernels by name. Properties that are not functions, or not named like an op, are ignored. */
export function kernelsSubject(kernels: Kernels, options: KernelSubjectOptions = {}): Subject {
  const has = opsAmong(Object.keys(kernels)).filter((op) => typeof kernels[op] === 'function');
  const call: RunOp = async (op, input) => {
    const kernel = kernels[op] as ((input: unknown) => never) | undefined;
    if (!kernel) throw new UnsupportedError(`${op}: expected one of ${has.join(', ')}`);
    return kernel(input);
  };
  return kernelSubject(call, has, options);
}

const ARITHMETIC: Record<BackendInfo['arithmetic'], Machine> = {
  ieee: IEEE32_KERNEL,
  wgsl: WGSL32,
  glsl: GLSL32,
};

/** An open backend, held to what its arithmetic promises. */
export function backendSubject(info: BackendInfo, backendOps: BackendOps): Subject {
  const { backend: name, precision, arithmetic } = info;
  const subject = kernelsSubject(backendOps as Kernels, { name, precision, timeoutSeconds: 60 });
  if (precision === 'float64') return subject;
  return { ...subject, machine: ARITHMETIC[arithmetic], showsNaN: arithmetic === 'ieee' };
}
