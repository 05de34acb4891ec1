/** Students at their beginning: what they take from the teacher, what they draw, and what they compute then. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type InitOptions, initFromAttention } from '../lib/distil/initFromAttention.ts';
import { STUDENT_KINDS, type StudentKind, studentConfig } from '../lib/distil/studentConfig.ts';
import { sigmoid, softplus } from '../reference/activations.ts';
import type { LayerConfig, MixerConfig, ModelConfig } from '../reference/config.ts';
import { createModel, step, weightShapes } from '../reference/model.ts';
import { newState } from '../reference/state.ts';
import type { Tensor, Vector } from '../reference/tensor.ts';
import { SEED } from './support.ts';
import { type Teacher, teacherOf, teachers } from './teachers.ts';

const RUNS = { seed: SEED, numRuns: 60 };
const exact = (x: number) => x;
const bitsOf = (data: Vector) => [...new Uint8Array(data.buffer, data.byteOffset, data.byteLength)];
/** dState that fits every teacher. */
const small = { dState: 2 };
const optionsOf = (kind: StudentKind) => (kind === 'mambaInLlama' ? { kind, ...small } : { kind });

/** A teacher whose sizes matter: 4 query heads share 2 of keys, 6 wide. */
const SIZES = {
  nKvHeads: 2,
  perKvHead: 2,
  nPairs: 3,
  dModel: 8,
  nLayers: 3,
  isTied: false,
  seed: 5,
};
const mixerOf = (layer: LayerConfig | undefined) => layer?.mixer as MixerConfig;
const named = (weights: ReadonlyMap<string, Tensor>, name: string) => weights.get(name) as Tensor;

function expectSameWeights(got: ReadonlyMap<string, Tensor>, teacher: Teacher, names: string[]) {
  for (const name of names) {
    const [a, b] = [named(got, name), named(teacher.weights, name)];
    expect(a.shape, name).toEqual(b.shape);
    expect(bitsOf(a.data), name).toEqual(bitsOf(b.data));
    expect(a.data.buffer, `${name} is a copy`).not.toBe(b.data.buffer);
  }
}

describe.each(STUDENT_KINDS)('a student of kind %s', (kind) => {
  const init = (teacher: Teacher, options: Partial<InitOptions> = {}) =>
    initFromAttention(teacher, { ...optionsOf(kind), seed: 3, ...options });

  it('with all attention kept is the teacher, bit for bit, in either variant', () => {
    fc.assert(
      fc.property(teachers, fc.boolean(), ({ input: { teacher } }, isRandom) => {
        const variant = isRandom ? 'random' : 'attention';
        const keptAttention = teacher.config.layers.map((_, i) => i);
        const { config, weights } = init(teacher, { keptAttention, variant });
        expect(config).toEqual(teacher.config);
        expect([...weights.keys()]).toEqual([...weightShapes(teacher.config).keys()]);
        expectSameWeights(weights, teacher, [...weights.keys()]);
      }),
      RUNS,
    );
  });

  it('has copies of everything but the converted mixers, and decodes', () => {
    fc.assert(
      fc.property(teachers, fc.boolean(), ({ input: { teacher, kept } }, isRandom) => {
        const variant = isRandom ? 'random' : 'attention';
        const { config, weights } = init(teacher, { keptAttention: kept, variant });
        const isConverted = (name: string) =>
          config.layers.some((_, i) => !kept.includes(i) && name.startsWith(`layers.${i}.mixer.`));
        const copies = [...weights.keys()].filter((name) => !isConverted(name));
        expect(copies.length).toBeGreaterThan(5);
        expectSameWeights(weights, teacher, copies);
        expect(config.contextLength).toBe(kept.length > 0 ? 64 : undefined);
        config.layers.forEach((layer, i) => {
          expect(mixerOf(layer).kind === 'attention').toBe(kept.includes(i));
        });
        const model = createModel(config, weights);
        const logits = step(model, newState(config), 3);
        expect(logits.every(Number.isFinite)).toBe(true);
      }),
      RUNS,
    );
  });

  it('is drawn from its seed: the same again, another from another, another in each layer', () => {
    const teacher = teacherOf(SIZES);
    const drawn = (seed: number, layer: number) =>
      bitsOf(named(init(teacher, { seed, variant: 'random' }).weights, at(layer, 'inProj')).data);
    expect(drawn(2 ** 53 - 1, 0)).toEqual(drawn(2 ** 53 - 1, 0));
    expect(drawn(7, 0)).not.toEqual(drawn(8, 0));
    expect(drawn(7, 0)).not.toEqual(drawn(7 + 2 ** 32, 0));
    expect(drawn(7, 0)).not.toEqual(drawn(7, 1));
  });

  it('of a float32 teacher is the float64 one, rounded', () => {
    const [wide, narrow] = [init(teacherOf(SIZES)), init(teacherOf(SIZES, 'float32'))];
    for (const [name, { data }] of narrow.weights) {
      expect(data).toBeInstanceOf(Float32Array);
      const rounded = Float32Array.from(named(wide.weights, name).data);
      expect(bitsOf(data), name).toEqual(bitsOf(rounded));
    }
  });

  it('that passes on differs from one of attention in the convolution alone, which is the identity', () => {
    const teacher = teacherOf(SIZES);
    const [learned, passing] = [init(teacher), init(teacher, { variant: 'passing' })];
    for (const [name, { data, shape }] of passing.weights) {
      const other = named(learned.weights, name).data;
      if (/conv(Weight|Bias)/.test(name)) {
        const dConv = shape[1] ?? Number.NaN;
        const want = Array.from(data, (_, i) => Number(i % dConv === dConv - 1));
        expect(Array.from(data), name).toEqual(want);
      } else expect(String(bitsOf(data)) === String(bitsOf(other)), name).toBe(true);
    }
  });

  it('at random differs from one of attention in x, B, C and the output projection alone', () => {
    const teacher = teacherOf(SIZES);
    const [learned, random] = [init(teacher), init(teacher, { variant: 'random' })];
    expect(random.config).toEqual(learned.config);
    const blocks = inProjBlocks(mixerOf(learned.config.layers[0]));
    for (const [name, { data, shape }] of learned.weights) {
      const other = named(random.weights, name).data;
      if (name.endsWith('inProj')) {
        for (const [block, from, count] of blocks) {
          const part = (all: Vector) =>
            bitsOf(all.slice(from * shape[1], (from + count) * shape[1]));
          const isSame = String(part(data)) === String(part(other));
          expect(isSame, `${name} ${block}`).toBe(!['x', 'B', 'C'].includes(block));
        }
      } else {
        expect(String(bitsOf(data)) === String(bitsOf(other)), name).toBe(!/outProj/.test(name));
      }
    }
    // U(−b, b) with b = 1/√dInner: inside, and near both ends
    const { data, shape } = named(random.weights, at(0, 'outProj'));
    const reach = 1 / Math.sqrt(shape[1]);
    expect(Math.max(...data)).toBeLessThan(reach);
    expect(Math.min(...data)).toBeGreaterThanOrEqual(-reach);
    expect(Math.max(...data)).toBeGreaterThan(0.9 * reach);
    expect(Math.min(...data)).toBeLessThan(-0.9 * reach);
  });
});

/** Blocks of rows of a converted inProj: name, first row, rows. */
function inProjBlocks(mixer: MixerConfig): [string, number, number][] {
  const widths: [string, number][] =
    mixer.kind === 'discreteMamba2'
      ? [...['x', 'B', 'C', 'z'].map((b): [string, number] => [b, 24]), ['a', 4]]
      : [['z', 24], ['x', 12], ['B', 12], ['C', 24], ['dt', mixer.kind === 'mambaInLlama' ? 1 : 4]]; // biome-ignore format: a table
  let from = 0;
  return widths.map(([name, count]) => {
    from += count;
    return [name, from - count, count];
  });
}

const at = (layer: number, weight: string) => `layers.${layer}.mixer.${weight}`;

describe('new parameters', () => {
  const teacher = teacherOf(SIZES);
  const layerOf = (kind: StudentKind) => {
    const { weights } = initFromAttention(teacher, { ...optionsOf(kind), seed: 1 });
    return (weight: string) => [...named(weights, at(1, weight)).data];
  };

  it.each(['mambaInLlama', 'mambaInLlama2'] as const)('of %s are those of its code', (kind) => {
    const layer = layerOf(kind);
    const steps = layer('dtBias').map((bias) => softplus(bias, exact));
    expect(Math.min(...steps)).toBeGreaterThan(0.99e-3);
    expect(Math.max(...steps)).toBeLessThan(0.101);
    expect(layer('D').every((d) => d === 1)).toBe(true);
    expect(Math.max(...layer('convWeight').map(Math.abs))).toBeLessThanOrEqual(1 / 2);
    expect(new Set(layer('convWeight')).size).toBeGreaterThan(90);
    const rates = layer('ALog').map(Math.exp);
    if (kind === 'mambaInLlama') {
      rates.forEach((rate, i) => {
        expect(rate).toBeCloseTo(1 + (i % 2), 14);
      });
      expect(Math.max(...layer('dtProj').map(Math.abs))).toBeLessThanOrEqual(1);
    } else {
      expect(Math.min(...rates)).toBeGreaterThanOrEqual(1);
      expect(Math.max(...rates)).toBeLessThanOrEqual(16);
      expect(layer('normWeight').every((w) => w === 1)).toBe(true);
    }
  });

  it('of llamba let the token through as it is, and forget about half', () => {
    const layer = layerOf('llamba');
    layer('convWeight').forEach((w, i) => {
      expect(w).toBe(i % 4 === 3 ? 1 : 0);
    });
    expect(layer('convBias').every((b) => b === 0)).toBe(true);
    for (const z of layer('zBias')) {
      expect(Math.abs(z * sigmoid(z, exact) - 1)).toBeLessThanOrEqual(2 * Number.EPSILON);
    }
    const { config } = initFromAttention(teacher, { kind: 'llamba', seed: 1 });
    expect(config.layers.every(({ norm }) => norm.eps === 1e-5)).toBe(true);
    expect(config.finalNorm.eps).toBe(1e-6);
  });

  it('draw step sizes evenly between the logarithms of their ends', () => {
    // 4·32 heads of 3 layers: the mean of 384 uniform numbers strays by 6 deviations, 0.09, in one of 10⁹
    const wide = teacherOf({ ...SIZES, nKvHeads: 8, perKvHead: 16, nPairs: 1 });
    const { weights } = initFromAttention(wide, { kind: 'mambaInLlama2', seed: 9 });
    const levels = [0, 1, 2].flatMap((layer) =>
      [...named(weights, at(layer, 'dtBias')).data].map(
        (bias) => (Math.log10(softplus(bias, exact)) + 3) / 2,
      ),
    );
    expect(levels).toHaveLength(384);
    const mean = levels.reduce((sum, level) => sum + level) / levels.length;
    expect(Math.abs(mean - 1 / 2)).toBeLessThan(6 / Math.sqrt(12 * 384));
  });
});

describe('what cannot be turned', () => {
  const { config, weights } = teacherOf(SIZES);
  const withLayer = (i: number, change: (layer: LayerConfig) => LayerConfig): ModelConfig => ({
    ...config,
    layers: config.layers.map((layer, k) => (k === i ? change(layer) : layer)),
  });
  const withMixer = (changes: object) =>
    withLayer(1, (layer) => ({ ...layer, mixer: { ...layer.mixer, ...changes } as MixerConfig }));
  const family = { code: 'TeacherFamily', message: expect.stringContaining('layers[1]') };

  it.each<[string, ModelConfig, object]>([
    ['a Mamba', studentConfig(config, { kind: 'llamba', keptAttention: [0, 2] }), family],
    ['another MLP', withLayer(1, (l) => ({ norm: l.norm, mixer: l.mixer })), family],
    ['LayerNorms', withLayer(1, (l) => ({ ...l, norm: { kind: 'layer', eps: 1e-5 } })), family],
    ['a convolution in the attention', withMixer({ dConv: 3 }), family],
    ['biases of the attention', withMixer({ hasQkvBias: true }), family],
    [
      'another end',
      { ...config, finalNorm: { kind: 'layer', eps: 1e-5 } },
      { code: 'TeacherFamily' },
    ],
  ])('%s is refused', (_, refused, error) => {
    expect(() => studentConfig(refused, { kind: 'llamba' })).toThrow(
      expect.objectContaining(error),
    );
    expect(() => studentConfig(refused, { kind: 'llamba' })).toThrow(/^student: .*[^.\n]$/);
  });

  it.each<[string, object, RegExp]>([
    [
      'a layer that does not exist',
      { keptAttention: [0, 3] },
      /keptAttention: .* 0 to 2, got \[0, 3\]/,
    ],
    ['a layer named twice', { keptAttention: [1, 1] }, /keptAttention/],
    ['half a layer', { keptAttention: [0.5] }, /keptAttention/],
    ['a kind that does not exist', { kind: 'mamba' }, /kind: expected mambaInLlama, .* got mamba/],
    ['a seed below zero', { seed: -1 }, /seed/],
    ['a variant that does not exist', { variant: 'other' }, /variant/],
    [
      'a state that does not divide the keys',
      { kind: 'mambaInLlama' },
      /dState: .* = 12, got 16; /,
    ],
    ['no states', { kind: 'mambaInLlama', dState: 0 }, /dState/],
    [
      'another state where it is the head width',
      { dState: 16 },
      /dState: expected headDim = 6, got 16/,
    ],
  ])('%s is refused', (_, options, message) => {
    const init = () =>
      initFromAttention({ config, weights }, { kind: 'llamba', seed: 1, ...options });
    expect(init).toThrow(message);
    expect(init).toThrow(expect.objectContaining({ name: 'ConfigError' }));
  });

  it('keeps biases of attention that it keeps', () => {
    const biased = withMixer({ hasQkvBias: true, hasOutBias: true });
    const student = studentConfig(biased, { kind: 'llamba', keptAttention: [1] });
    expect(student.layers[1]).toEqual(biased.layers[1]);
  });

  it('weights that do not fit the config are named', () => {
    const fewer = new Map(weights);
    fewer.delete('layers.1.mlp.up');
    expect(() =>
      initFromAttention({ config, weights: fewer }, { kind: 'llamba', seed: 1 }),
    ).toThrow(
      expect.objectContaining({
        code: 'Shape',
        message: expect.stringContaining('layers.1.mlp.up'),
      }),
    );
  });
});
