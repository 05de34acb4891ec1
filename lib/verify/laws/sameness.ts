/**
 * What "the same result" means for the subject that is judged. For the reference: the same bits. For other
 * people's kernels and GPUs another batch size or another cut is another order of summation: there every way of
 * computing a result must lie within the bound of its definition.
 */

import type { OpName } from '../../../reference/ops.ts';
import { isTensor, type Tensor } from '../../../reference/tensor.ts';
import { runOnReference } from '../../referenceOps.ts';
import { DifferenceError, expectClose, expectSameBits, expectSameOutputs } from '../compare.ts';
import { DEFINITIONS, type Defined } from '../definitions/index.ts';
import { logSoftmax } from '../definitions/layers.ts';
import { type LawSubject, tensorsOf } from './law.ts';

/** Cuts rows or tokens out of outputs. */
export type Part = (outputs: object) => object;

const whole: Part = (outputs) => outputs;

/**
 * Compares outputs of an op, or a part of them, with what the op must give for an input.
 * @returns the largest error as a share of the allowed one, 0 for bits; throws where it is more than 1.
 */
export type Same = (got: object, part?: Part) => number;

/** Outputs by name, as values and as what they may be off by, both in the shape of the output. */
interface Bounded {
  values: Record<string, Tensor>;
  errors: Record<string, Tensor>;
}

/**
 * How results of an op on one input are compared.
 * @param plain what the subject gave for that input, or must give; the bits of the others where bits count.
 * @param zeros whether 0 and −0 are `apart`, as bits are, or `alike`.
 */
export async function sameness(
  subject: LawSubject,
  op: OpName,
  input: object,
  plain: object,
  zeros: 'apart' | 'alike' = 'apart',
): Promise<Same> {
  if (subject.isBitwise) {
    return (got, part = whole) => {
      const want = onlyNamed(part(plain), got);
      if (zeros === 'apart') expectSameOutputs(got, want);
      else
        for (const [name, tensor] of tensorsOf(want))
          expectClose(name, tensorIn(got, name), tensor, {});
      return 0;
    };
  }
  const definition = DEFINITIONS[op] as ((input: object, calc: unknown) => Defined) | undefined;
  if (!definition) return (got, part = whole) => expectAlike(subject, input, got, part(plain));
  const model = (await runOnReference(op, input as never)) as unknown as Record<string, Tensor>;
  const { values, errors } = bounded(definition(input, subject.calc), model);
  return (got, part = whole) => {
    const [wanted, allowed] = [part(values), part(errors)] as Record<string, Tensor>[];
    let worst = 0;
    for (const [name, tensor] of Object.entries(got)) {
      if (!isTensor(tensor) || !wanted[name]) continue;
      const perElement = allowed[name].data;
      worst = Math.max(worst, expectClose(name, tensor, wanted[name], { perElement }));
    }
    return worst;
  };
}

function bounded(defined: Defined, model: Record<string, Tensor>): Bounded {
  const [values, errors]: Record<string, Tensor>[] = [{}, {}];
  for (const [name, approx] of Object.entries(defined)) {
    if (!isTensor(model[name])) continue;
    const { shape } = model[name];
    values[name] = { data: Float64Array.from(approx, ({ value }) => value), shape };
    errors[name] = { data: Float64Array.from(approx, ({ error }) => error), shape };
  }
  return { values, errors };
}

const tensorIn = (outputs: object, name: string) => (outputs as Record<string, Tensor>)[name];

function onlyNamed(object: object, like: object): object {
  return Object.fromEntries(Object.entries(object).filter(([name]) => name in like));
}

/**
 * Compares two outputs of an op that chooses or counts. Log-probabilities may differ by the bounds of two log
 * softmaxes; all else must be equal.
 */
function expectAlike(
  { calc }: LawSubject,
  input: { logits?: Tensor },
  got: object,
  want: object,
): number {
  let worst = 0;
  for (const [name, value] of Object.entries(want)) {
    const other = (got as Record<string, unknown>)[name];
    if (isTensor(value) && isTensor(other)) {
      expectSameBits(name, other, value);
    } else if (name === 'logprobs' && input.logits) {
      worst = Math.max(
        worst,
        expectLogprobs(other as number[], value as number[], input.logits, calc),
      );
    } else if (JSON.stringify(other) !== JSON.stringify(value)) {
      throw new DifferenceError(
        `${name}: want ${JSON.stringify(value)}, got ${JSON.stringify(other)}`,
      );
    }
  }
  return worst;
}

function expectLogprobs(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  logits: Tensor,
  calc: LawSubject['calc'],
): number {
  const finite = { ...logits, data: logits.data.map((x) => (x === -Infinity ? -1e4 : x)) };
  const bound = Math.max(...logSoftmax({ x: finite }, calc).y.map(({ error }) => error));
  const tensor = (data: ArrayLike<number>) => ({
    data: Float64Array.from(data),
    shape: [data.length],
  });
  return expectClose('logprobs', tensor(got), tensor(want), { absolute: 2 * bound });
}
