/** How a random input is made for fast-check: from a few dimensions and a seed, which is also how it prints. */

import fc from 'fast-check';
import type { OpName, Ops } from '../../../reference/ops.ts';
import { Draws, VALUE_FAMILIES, type ValueFamily } from '../values.ts';

export type InputOf<Name extends OpName> = Parameters<Ops[Name]>[0];

/** An op's input and the few numbers that it was made from. */
export interface Drawn<Input, Dims = Record<string, unknown>> {
  readonly dims: Dims & { readonly seed: number; readonly family?: ValueFamily };
  readonly input: Input;
}

/** Makes inputs from dimensions and a source of numbers; the same dimensions make the same input. */
export function drawn<Dims extends object, Input>(
  dims: { [K in keyof Dims]: fc.Arbitrary<Dims[K]> },
  make: (dims: Dims & { family: ValueFamily }, draws: Draws) => Input,
  families: readonly ValueFamily[] = VALUE_FAMILIES,
): fc.Arbitrary<Drawn<Input, Dims>> {
  const all = {
    ...dims,
    family: fc.constantFrom(...families),
    seed: fc.nat(0x7fffffff),
  } as { [K in keyof Dims]: fc.Arbitrary<Dims[K]> } & {
    family: fc.Arbitrary<ValueFamily>;
    seed: fc.Arbitrary<number>;
  };
  return fc.record(all).map((values) => {
    const d = values as Dims & { seed: number; family: ValueFamily };
    return printable(d, make(d, new Draws(d.seed)));
  });
}

/** Another input made from a drawn one; it prints as the same dimensions. */
export function mapDrawn<Input, Other, Dims>(
  inputs: fc.Arbitrary<Drawn<Input, Dims>>,
  change: (input: Input, dims: Dims) => Other,
): fc.Arbitrary<Drawn<Other, Dims>> {
  return inputs.map(({ dims, input }) => printable(dims, change(input, dims)));
}

/** A drawn input with one more number beside it: a chunk length, a place to cut. */
export function withDim<Input, Dims, Name extends string, Value>(
  inputs: fc.Arbitrary<Drawn<Input, Dims>>,
  name: Name,
  values: fc.Arbitrary<Value>,
): fc.Arbitrary<Drawn<Input & { [K in Name]: Value }, Dims & { [K in Name]: Value }>> {
  return fc.tuple(inputs, values).map(([{ dims, input }, value]) => {
    const more = { [name]: value } as { [K in Name]: Value };
    return printable({ ...dims, ...more }, { ...input, ...more });
  });
}

/** A drawn input that prints as its dimensions. */
export function printable<Input, Dims>(dims: Dims, input: Input): Drawn<Input, Dims> {
  const value = { dims, input, [fc.toStringMethod]: () => JSON.stringify(dims) };
  return value as unknown as Drawn<Input, Dims>;
}

export const size = (max: number, min = 1) => fc.integer({ min, max });
export const flag = fc.boolean();

/**
 * Mostly a size up to `max`; one in 22 up to 40 and one up to `most`, past the vectors, tiles and chunks that
 * kernels work in.
 */
export const long = (max: number, most: number) =>
  fc.oneof(
    { withCrossShrink: true },
    { arbitrary: size(max), weight: 20 },
    { arbitrary: fc.integer({ min: max + 1, max: Math.min(40, most) }), weight: 1 },
    { arbitrary: fc.integer({ min: Math.min(41, most), max: most }), weight: 1 },
  );

/**
 * Leaves out the few inputs where several dimensions are long at once, which cost more than all others together.
 * @param work multiplications of an input, about.
 */
export function moderate<Input, Dims>(
  inputs: fc.Arbitrary<Drawn<Input, Dims>>,
  work: (dims: Dims) => number,
): fc.Arbitrary<Drawn<Input, Dims>> {
  return inputs.filter(({ dims }) => work(dims) <= MOST_WORK);
}

/** Enough for each dimension at its longest beside usual ones. */
const MOST_WORK = 60_000;

/** Dimensions that the inputs of all sequence ops have. */
export const sequence = { batch: size(3), seqlen: long(9, 270) };
