/**
 * The gradients of the ops around the recurrences, against the ops themselves: by central differences in every
 * input, and as the adjoint of the directional derivative. golden.spec compares them with PyTorch's.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Draws } from '../fixtures/arbitraries.ts';
import { Calculator, exactly, FLOAT64 } from '../lib/verify/approx.ts';
import { DEFINITIONS, type Defined } from '../lib/verify/definitions/index.ts';
import { sigmoid, silu, softplus } from '../reference/activations.ts';
import { ConfigError, ShapeError } from '../reference/errors.ts';
import * as gradients from '../reference/gradients/index.ts';
import { type OpName, type Ops, ops } from '../reference/ops.ts';
import { gateProduct } from '../reference/swigluMlp.ts';
import { isTensor, type Tensor, toPrecision } from '../reference/tensor.ts';
import { derivative, inner, moved, type Named, wrongGradients } from './differences.ts';
import { RUNS, SEED } from './support.ts';

type InputOf<Name extends OpName> = Parameters<Ops[Name]>[0];
type Gradients = Record<string, Tensor>;

/** An op with its gradient, names and types of its inputs forgotten. */
interface Subject {
  name: string;
  draw(draws: Draws): Named;
  y(input: Named): Tensor;
  /** Elements of y with their errors. */
  defined(input: Named, calc: Calculator): Defined;
  gradient(input: Named, dy: Tensor): Gradients;
  /** Tensors among the inputs that are not learned. */
  fixed?: string[];
}

function subject<Name extends OpName>(
  name: Name,
  gradient: (input: InputOf<Name>, dy: Tensor) => object,
  draw: (draws: Draws) => InputOf<Name>,
  fixed?: string[],
): Subject {
  const op = ops[name] as unknown as (input: Named) => { y: Tensor };
  return {
    name,
    draw: (draws) => draw(draws) as unknown as Named,
    y: (input) => op(input).y,
    defined: DEFINITIONS[name] as unknown as Subject['defined'],
    gradient: (input, dy) => gradient(input as unknown as InputOf<Name>, dy) as Gradients,
    fixed,
  };
}

const calc = new Calculator(FLOAT64);
const size = (draws: Draws, most: number) => 1 + draws.below(most);
const flag = (draws: Draws) => draws.below(2) === 0;
const usual = (draws: Draws, ...shape: number[]) => draws.tensorBetween(-1.5, 1.5, ...shape);

const normInput = (draws: Draws) => {
  const [rows, width] = [size(draws, 3), size(draws, 6)];
  return {
    x: usual(draws, rows, width),
    weight: usual(draws, width),
    ...(flag(draws) && { bias: usual(draws, width) }),
    eps: draws.between(0.1, 1), // far below it, rms turns within a step of the differences
  };
};

const SUBJECTS: Subject[] = [
  subject('linear', gradients.linearGradient, (draws) => {
    const [rows, dIn, dOut] = [size(draws, 3), size(draws, 5), size(draws, 4)];
    return {
      x: usual(draws, rows, dIn),
      weight: usual(draws, dOut, dIn),
      ...(flag(draws) && { bias: usual(draws, dOut) }),
    };
  }),
  subject('embedding', gradients.embeddingGradient, (draws) => {
    const [vocabSize, dModel] = [size(draws, 4), size(draws, 4)];
    const tokens = Array.from({ length: size(draws, 6) }, () => draws.below(vocabSize));
    return { tokens, weight: usual(draws, vocabSize, dModel) };
  }),
  subject('rmsNorm', gradients.rmsNormGradient, normInput),
  subject('layerNorm', gradients.layerNormGradient, normInput),
  subject('gatedRmsNorm', gradients.gatedRmsNormGradient, (draws) => {
    const [rows, groups, groupSize] = [size(draws, 3), size(draws, 3), size(draws, 3)];
    const width = groups * groupSize;
    return {
      x: usual(draws, rows, width),
      ...(flag(draws) && { z: usual(draws, rows, width) }),
      weight: usual(draws, width),
      ...(flag(draws) && { bias: usual(draws, width) }),
      eps: draws.between(0.1, 1),
      ...(flag(draws) && { groupSize }),
      normBeforeGate: flag(draws),
    };
  }),
  subject(
    'rope',
    gradients.ropeGradient,
    (draws) => {
      const [seqlen, nPairs] = [size(draws, 4), size(draws, 3)];
      const headDim = 2 * nPairs + draws.below(3);
      return {
        x: usual(draws, size(draws, 2), seqlen, size(draws, 2), headDim),
        angles: draws.tensorBetween(-9, 9, seqlen, nPairs),
        pairing: flag(draws) ? 'half' : 'interleaved',
      };
    },
    ['angles'],
  ),
  subject('attention', gradients.attentionGradient, (draws) => {
    const [batch, seqlen, nKvHeads, headDim] = [2, 3, 2, 3].map((most) => size(draws, most));
    // more keys than queries, and fewer: then the first queries see none
    const length = Math.max(1, seqlen + draws.below(4) - 1);
    return {
      q: usual(draws, batch, seqlen, nKvHeads * size(draws, 2), headDim),
      keys: usual(draws, batch, length, nKvHeads, headDim),
      values: usual(draws, batch, length, nKvHeads, headDim),
      isCausal: draws.below(4) > 0,
      ...(flag(draws) && { scale: draws.between(0.2, 1) }),
    };
  }),
  subject('swigluMlp', gradients.swigluMlpGradient, (draws) => {
    const [rows, dModel, dHidden] = [size(draws, 3), size(draws, 4), size(draws, 4)];
    const hasBias = flag(draws);
    return {
      x: usual(draws, rows, dModel),
      gateWeight: usual(draws, dHidden, dModel),
      ...(hasBias && { gateBias: usual(draws, dHidden) }),
      upWeight: usual(draws, dHidden, dModel),
      ...(hasBias && { upBias: usual(draws, dHidden) }),
      downWeight: usual(draws, dModel, dHidden),
      ...(hasBias && { downBias: usual(draws, dModel) }),
    };
  }),
  subject('gatedMlp', gradients.gatedMlpGradient, (draws) => {
    const [rows, dModel, dHidden] = [size(draws, 3), size(draws, 4), size(draws, 4)];
    const hasBias = flag(draws);
    return {
      x: usual(draws, rows, dModel),
      fc1Weight: usual(draws, 2 * dHidden, dModel),
      ...(hasBias && { fc1Bias: usual(draws, 2 * dHidden) }),
      fc2Weight: usual(draws, dModel, dHidden),
      ...(hasBias && { fc2Bias: usual(draws, dModel) }),
    };
  }),
  gateSubject(),
];

/** The gate, which is no op by itself. */
function gateSubject(): Subject {
  const open = (z: Tensor, zBias: Tensor | undefined, i: number) =>
    z.data[i] + (zBias ? zBias.data[i % zBias.data.length] : 0);
  const typed = (input: Named) => input as unknown as gradients.GateInput;
  return {
    name: 'gate',
    draw: (draws) => {
      const [rows, width] = [size(draws, 3), size(draws, 5)];
      return {
        x: usual(draws, rows, width),
        z: usual(draws, rows, width),
        ...(flag(draws) && { zBias: usual(draws, width) }),
      };
    },
    y: (input) => {
      const { x, z, zBias } = typed(input);
      return gateProduct(x, { data: z.data.map((_, i) => open(z, zBias, i)), shape: z.shape });
    },
    defined: (input) => {
      const { x, z, zBias } = typed(input);
      const y = Array.from(x.data, (value, i) =>
        calc.gated(exactly(value), calc.rounded(open(z, zBias, i), 0)),
      );
      return { y };
    },
    gradient: (input, dy) => gradients.gateGradient(typed(input), dy) as unknown as Gradients,
  };
}

/** Tries a law on inputs drawn from seeds; a failure prints the seed. */
function forAll({ draw, y }: Subject, runs: number, law: (input: Named, dy: Tensor) => void) {
  const property = fc.property(fc.nat(0x7fffffff), (seed) => {
    const draws = new Draws(seed);
    const input = draw(draws);
    law(input, usual(draws, ...y(input).shape));
  });
  fc.assert(property, { seed: SEED, numRuns: runs });
}

describe.each(SUBJECTS)('the gradient of $name', (of) => {
  /** How far a computed Σ y·dy may be from the true one: twice its bound, as the inputs are moved a little. */
  const noise = (input: Named, dy: Tensor) =>
    2 * calc.dot(Array.from(dy.data, exactly), of.defined(input, calc).y).error;

  it('is that of central differences in every number of every input', () => {
    forAll(of, RUNS / 5, (input, dy) => {
      const f = (at: Named) => inner(of.y(at), dy);
      const gradient = of.gradient(input, dy);
      expect(wrongGradients(f, input, gradient, noise(input, dy))).toEqual([]);
      const learned = Object.keys(input).filter((key) => isTensor(input[key]));
      expect(Object.keys(gradient).sort()).toEqual(
        learned.filter((key) => !of.fixed?.includes(key)).sort(),
      );
    });
  });

  it('is the adjoint of the derivative: ⟨J·v, w⟩ = ⟨v, Jᵀ·w⟩ for a direction v through all inputs', () => {
    forAll(of, RUNS, (input, w) => {
      const gradient = of.gradient(input, w);
      const draws = new Draws(w.data.length);
      const direction = Object.fromEntries(
        Object.entries(gradient).map(([name, t]) => [name, draws.tensor('dyadic', ...t.shape)]),
      );
      const along = (h: number) => inner(of.y(moved(input, direction, h)), w);
      const { value, error } = derivative(along, noise(input, w));
      let transposed = 0;
      for (const [name, v] of Object.entries(direction)) transposed += inner(v, gradient[name]);
      expect(Math.abs(transposed - value)).toBeLessThanOrEqual(error);
    });
  });

  it('is zero for a dy of zero, NaN somewhere for a dy of NaN', () => {
    forAll(of, RUNS / 5, (input, dy) => {
      const numbers = (fill: number) =>
        Object.values(of.gradient(input, { ...dy, data: dy.data.map(() => fill) })).flatMap((t) =>
          Array.from(t.data),
        );
      expect(numbers(0).filter((d) => d !== 0)).toEqual([]);
      expect(numbers(Number.NaN).some(Number.isNaN)).toBe(true);
    });
  });

  it('reads float32 inputs as the numbers that they are, and leaves all inputs alone', () => {
    forAll(of, RUNS / 5, (input, dy) => {
      const single = { ...input };
      for (const [key, t] of Object.entries(input)) {
        if (isTensor(t)) single[key] = toPrecision(t, 'float32'); // all drawn numbers are float32
      }
      const before = structuredClone([single, dy]);
      // rope turns by a float32 sine, if its angles are float32
      const angles = of.fixed ? { angles: input.angles } : {};
      const got = of.gradient({ ...single, ...angles }, toPrecision(dy, 'float32'));
      expect(got).toEqual(of.gradient(input, dy));
      expect([single, dy]).toEqual(before);
    });
  });

  it('refuses a dy of another shape', () => {
    const input = of.draw(new Draws(SEED));
    const { data, shape } = of.y(input);
    const more = {
      data: new Float64Array(2 * data.length),
      shape: [2 * shape[0], ...shape.slice(1)],
    };
    expect(() => of.gradient(input, more)).toThrow(ShapeError);
    expect(() => of.gradient(input, more)).toThrow(/^\w+Gradient: dy: expected shape /);
  });
});

it('embeddingGradient refuses a token outside the table', () => {
  const weight = { data: new Float64Array(2), shape: [2, 1] };
  const dy = { data: new Float64Array(1), shape: [1, 1] };
  expect(() => gradients.embeddingGradient({ tokens: [2], weight }, dy)).toThrow(ConfigError);
});

describe('derivatives of activations', () => {
  const exact = (x: number) => x;
  it.each([
    ['sigmoid', gradients.sigmoidDerivative, sigmoid, calc.sigmoid.bind(calc)],
    ['silu', gradients.siluDerivative, silu, calc.silu.bind(calc)],
    ['softplus', gradients.softplusDerivative, softplus, calc.softplus.bind(calc)],
  ] as const)('%s’ is that of central differences', (_, slope, f, defined) => {
    const draws = new Draws(SEED);
    for (let run = 0; run < 10 * RUNS; run++) {
      const x = Math.fround(draws.between(-30, 30));
      if (Math.abs(x - 20) < 0.1) continue; // where softplus jumps by 2e-9
      const noise = 2 * defined(exactly(x)).error;
      const { value, error } = derivative((h) => f(x + h, exact), noise);
      expect(Math.abs(slope(x) - value), `at ${x}`).toBeLessThanOrEqual(error);
    }
  });

  it('stay finite far out, and softplus’ is exactly 1 above 20', () => {
    const far = [-1e300, -800, 800, 1e300];
    expect(far.map(gradients.sigmoidDerivative)).toEqual([0, 0, 0, 0]);
    expect(far.map((x) => gradients.siluDerivative(x) + 0)).toEqual([0, 0, 1, 1]);
    expect(far.map(gradients.softplusDerivative)).toEqual([0, 0, 1, 1]);
    expect(gradients.softplusDerivative(20.000001)).toBe(1);
    expect(gradients.softplusDerivative(20)).toBeLessThan(1);
    for (const slope of [
      gradients.sigmoidDerivative,
      gradients.siluDerivative,
      gradients.softplusDerivative,
    ]) {
      expect(slope(Number.NaN)).toBeNaN();
    }
  });
});
