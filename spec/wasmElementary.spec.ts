/** What the WASM kernels make of e^x: errors in ulp against Float64 over the whole range of float32. */

import { setFlagsFromString } from 'node:v8';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  CALL_WORDS,
  POINTWISE,
  POINTWISE_ANY_POWER,
  POINTWISE_EXP,
  POINTWISE_EXP_NEGATIVE,
  POINTWISE_POWER,
  POINTWISE_SIGMOID,
  POINTWISE_SILU,
  POINTWISE_SOFTPLUS,
  ROWS_TOKENS,
  STEP_WORDS,
} from '../backends/wasm/abi.ts';
import { hasRelaxed, Kernels } from '../backends/wasm/kernels.ts';
import { exp, log1p } from '../reference/elementary.ts';

// Node 20 has relaxed SIMD behind a flag
setFlagsFromString('--experimental-wasm-relaxed-simd');
const BUILDS = (await hasRelaxed()) ? (['plain', 'relaxed'] as const) : (['plain'] as const);

const COUNT = 1 << 20;

const sigmoid = (x: number) => (x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)));

interface Measured {
  readonly name: string;
  readonly kind: number;
  readonly exact: (x: number) => number;
  /** What elementary.ts states. */
  readonly ulps: number;
  /** Absolute error that it states besides, where a part of the result is subnormal. */
  readonly absolute?: (x: number) => number;
  readonly isFor?: (x: number) => boolean;
}

/** Below this e^x is subnormal. */
const LEAST = -87.33654;

const FUNCTIONS: Measured[] = [
  { name: 'exp4', kind: POINTWISE_EXP, exact: exp, ulps: 1.5 },
  {
    name: 'expNegative4',
    kind: POINTWISE_EXP_NEGATIVE,
    exact: (x) => (x < LEAST ? 0 : exp(x)),
    ulps: 1.5,
    isFor: (x) => x <= 0,
  },
  {
    name: 'powerOfTwo4',
    kind: POINTWISE_POWER,
    exact: (x) => (x < -126 ? 0 : exp(x * Math.LN2)),
    ulps: 2.5,
    isFor: (x) => x <= 0,
  },
  {
    name: 'anyPowerOfTwo4',
    kind: POINTWISE_ANY_POWER,
    exact: (x) => exp(x * Math.LN2),
    ulps: 2.5,
  },
  {
    name: 'softplus4',
    kind: POINTWISE_SOFTPLUS,
    exact: (x) => Math.max(x, 0) + log1p(exp(-Math.abs(x))),
    ulps: 3,
  },
  { name: 'sigmoid4', kind: POINTWISE_SIGMOID, exact: sigmoid, ulps: 3 },
  {
    name: 'silu4',
    kind: POINTWISE_SILU,
    exact: (x) => x * sigmoid(x),
    ulps: 4,
    absolute: (x) => (x < LEAST ? 2e-43 : 0),
  },
];

/** Every exponent of both signs with two thousand mantissas each, more where e^x is neither 0 nor ∞, and specials. */
function* arguments32(): Generator<Float32Array> {
  const floats = new Float32Array(COUNT);
  const bits = new Uint32Array(floats.buffer);
  let size = 0;
  // a prime, so that the last bits of the mantissas differ as well
  for (let b = 0; b < 2 ** 32; b += 3989) {
    bits[size++] = b;
    if (size === COUNT) {
      yield floats;
      size = 0;
    }
  }
  const specials = [0, 1, 2, 0x7fffff, 0x800000, 0x3f800000, 0x7f7fffff, 0x7f800000, 0x7fc00000];
  for (const b of specials) {
    bits[size++] = b;
    bits[size++] = b + 0x80000000;
  }
  yield floats.subarray(0, size);
  for (let i = 0; i < COUNT; i++) floats[i] = -112 + (i * 204) / COUNT;
  yield floats;
}

/** Distance to the next float32. */
function ulpOf(x: number): number {
  const magnitude = Math.max(Math.abs(x), 2 ** -126);
  let exponent = Math.floor(Math.log2(magnitude));
  if (2 ** exponent > magnitude) exponent--;
  return 2 ** (exponent - 23);
}

describe.each(BUILDS)('the %s build', (simd) => {
  let kernels: Kernels;
  let run: (kind: number, x: Float32Array) => Float32Array;

  beforeAll(async () => {
    kernels = await Kernels.start({ simd, threads: 1 });
    const { memory } = kernels;
    const [x, y] = [memory.allocate(4 * COUNT + 64), memory.allocate(4 * COUNT + 64)];
    const program = memory.allocateZeros(4 * STEP_WORDS);
    const call = memory.allocateZeros(4 * CALL_WORDS);
    run = (kind, values) => {
      memory.u32.set([POINTWISE, ROWS_TOKENS, kind, x, y, values.length], program / 4);
      memory.write(x, values);
      kernels.run(program, 1, call);
      return memory.f32.slice(y / 4, y / 4 + values.length);
    };
  });
  afterAll(() => kernels.close());

  it.each(FUNCTIONS)('$name is within $ulps ulp everywhere', (measured) => {
    const { kind, exact, ulps, absolute = () => 0, isFor = () => true } = measured;
    let worst = 0;
    let place = '';
    let isRight = true;
    for (const values of arguments32()) {
      const got = run(kind, values);
      for (let i = 0; i < values.length; i++) {
        const x = values[i];
        if (!Number.isNaN(x) && !isFor(x)) continue;
        const want = exact(x);
        const error = errorOf(got[i], want, absolute(x));
        isRight &&= Number.isNaN(want) === Number.isNaN(got[i]);
        if (!(error <= worst)) {
          worst = error;
          place = `at ${x}: ${got[i]}, want ${want}`;
        }
      }
    }
    expect(isRight, 'NaN where there should be none, or none where there should be').toBe(true);
    expect(worst, place).toBeLessThanOrEqual(ulps);
  });
});

/** Error in ulp of what is wanted, beyond an absolute error that is allowed; ∞ may stand for what rounds to it. */
function errorOf(got: number, want: number, absolute: number): number {
  if (Number.isNaN(want) || Object.is(got, want)) return 0;
  const nearest = Math.abs(want) >= 2 ** 128 ? Math.sign(want) * 2 ** 128 : want;
  const value = Math.abs(got) === Infinity ? Math.sign(got) * 2 ** 128 : got;
  return Math.max(Math.abs(value - nearest) - absolute, 0) / ulpOf(nearest);
}
