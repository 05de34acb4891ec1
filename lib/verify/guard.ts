/** Calling code that nobody has checked yet: what it gives back is looked at before anything is compared. */

import type { RunOp } from '../../backends/types.ts';
import { SelscanError } from '../../reference/errors.ts';
import type { OpName } from '../../reference/ops.ts';
import { isTensor, sizeOf, type Tensor } from '../../reference/tensor.ts';
import { runOnReference } from '../referenceOps.ts';

/** A kernel threw or gave back something else than its op's output (code `Kernel`), or hung (`KernelTimeout`). */
export class KernelError extends SelscanError {
  declare readonly code: 'Kernel' | 'KernelTimeout';

  constructor(
    message: string,
    options?: { cause?: unknown },
    code: 'Kernel' | 'KernelTimeout' = 'Kernel',
  ) {
    super(code, message, options);
  }
}

/** The error of a kernel that does not answer. */
export function lateError(what: string, seconds: number): KernelError {
  return new KernelError(`${what}: no answer within ${seconds} s`, {}, 'KernelTimeout');
}

/** Thrown by a subject for what it does not take or does not give: neither right nor wrong. Code `Inapplicable`. */
export class InapplicableError extends SelscanError {
  constructor(message: string) {
    super('Inapplicable', message);
  }
}

/** Outputs that a kernel may leave out. */
const OPTIONAL: { readonly [Name in OpName]?: readonly string[] } = {
  attention: ['weights'],
  attentionStep: ['weights'],
};

export interface GuardOptions {
  /** A call that takes longer is a failure of its input. Default 10. */
  timeoutSeconds?: number;
  /** Whether outputs may be missing; then a law that needs one is not applied. Default false. */
  isPartial?: boolean;
}

/**
 * A kernel whose failures are errors with one clear sentence, and whose outputs are complete, of the right
 * shapes, and copies: what it does with its own buffers later cannot change them.
 */
export function guarded(
  call: RunOp,
  { timeoutSeconds = 10, isPartial = false }: GuardOptions = {},
): RunOp {
  return (async (op: OpName, input: object) => {
    const model = await runOnReference(op, structuredClone(input) as never).catch(() => undefined);
    const output = await inTime(op, timeoutSeconds, () => call(op, input as never));
    return model === undefined ? output : conforming(op, output, model, isPartial);
  }) as RunOp;
}

async function inTime<T>(op: OpName, seconds: number, call: () => Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(lateError(op, seconds)), 1000 * seconds);
  });
  try {
    return await Promise.race([call(), late]);
  } catch (error) {
    if (error instanceof SelscanError || (error as Error)?.name === 'AbortError') throw error;
    throw new KernelError(`${op}: the kernel threw ${describeThrown(error)}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

function describeThrown(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/** A copy of the outputs that the model output has. @throws KernelError where one is missing or mis-shaped. */
function conforming(op: OpName, output: unknown, model: object, isPartial: boolean): object {
  if (typeof output !== 'object' || output === null) {
    throw new KernelError(
      `${op}: expected an object with ${namesOf(model)}, got ${nameOf(output)}`,
    );
  }
  const copy: Record<string, unknown> = {};
  for (const [name, wanted] of Object.entries(model)) {
    const got = (output as Record<string, unknown>)[name];
    if (got === undefined && (isPartial || OPTIONAL[op]?.includes(name))) {
      Object.defineProperty(copy, name, { get: () => refuse(op, name) }); // not enumerable
      continue;
    }
    copy[name] = isTensor(wanted)
      ? conformingTensor(op, name, got, wanted.shape)
      : conformingValue(op, name, got, wanted);
  }
  return copy;
}

function refuse(op: OpName, name: string): never {
  throw new InapplicableError(`${op}: ${name} is not among the outputs`);
}

function conformingTensor(
  op: OpName,
  name: string,
  got: unknown,
  shape: readonly number[],
): Tensor {
  const expected = `${op}: ${name}: expected a tensor { data, shape } of shape [${shape.join(', ')}]`;
  if (got === undefined) throw new KernelError(`${expected}, which is missing`);
  if (!isTensor(got) || !Array.isArray(got.shape)) {
    const data = (got as { data?: unknown } | null)?.data;
    const what = data === undefined ? nameOf(got) : `data of type ${nameOf(data)}`;
    throw new KernelError(`${expected} with a Float32Array or Float64Array, got ${what}`);
  }
  if ('stride' in got) throw new KernelError(`${expected}, dense and row-major, got an ndarray`);
  if (got.shape.join() !== shape.join()) {
    throw new KernelError(`${expected}, got shape [${got.shape.join(', ')}]`);
  }
  if (got.data.length !== sizeOf(shape)) {
    throw new KernelError(`${expected}, got ${got.data.length} elements`);
  }
  return { data: got.data.slice(), shape: [...shape] };
}

function conformingValue(op: OpName, name: string, got: unknown, wanted: unknown): unknown {
  const isListWanted = Array.isArray(wanted);
  const list = ArrayBuffer.isView(got) ? Array.from(got as unknown as ArrayLike<number>) : got;
  if (isListWanted && Array.isArray(list) && list.length === wanted.length) return [...list];
  if (!isListWanted && typeof got === typeof wanted) return structuredClone(got);
  const expected = isListWanted ? `a list of ${wanted.length}` : `a ${typeof wanted}`;
  const what = Array.isArray(list) ? `a list of ${list.length}` : nameOf(got);
  throw new KernelError(`${op}: ${name}: expected ${expected}, got ${what}`);
}

const namesOf = (object: object) => Object.keys(object).join(' and ');

/** What something is, for an error message. */
function nameOf(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (typeof value !== 'object') return `${typeof value} ${String(value).slice(0, 40)}`;
  return value.constructor?.name ?? 'an object';
}
