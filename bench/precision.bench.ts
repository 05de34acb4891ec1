/** `npm run bench:precision`: what each number format costs, by which weights are stored in it. Nothing is timed. */

import { parseArgs } from 'node:util';
import { decodeFloats, encodeFloats } from '../lib/checkpoint/dtypes.ts';
import { halfValue, signedHalfBits } from '../lib/checkpoint/halves.ts';
import { decodeQ4, encodeQ4, Q4_BLOCK } from '../lib/checkpoint/q4.ts';
import { decodeQ8, encodeQ8 } from '../lib/checkpoint/q8.ts';
import { collect } from '../lib/decode/events.ts';
import { generate } from '../lib/decode/generate.ts';
import { type LoadedModel, loadModel } from '../lib/loadModel.ts';
import { namedWeights } from '../lib/plan/weights.ts';
import { openTraining } from '../lib/train/device.ts';
import { modelOnTape } from '../lib/train/graph.ts';
import { ParameterSet } from '../lib/train/optimiser.ts';
import { Tape } from '../lib/train/tape.ts';
import { exampleOf, tasksNamed } from '../lib/train/taskData.ts';
import type { Tensor } from '../reference/tensor.ts';
import { type Column, print, Report } from './report.ts';

const MODELS = ['base-teacher', 'base-hybrid', 'base-pure', 'stories-hybrid', 'stories-pure'];
const { values } = parseArgs({
  options: {
    models: { type: 'string', default: MODELS.join() },
    sequences: { type: 'string', default: '48' },
    json: { type: 'string' },
  },
});
const sequences = Number(values.sequences);

/** Numbers as a format holds them. */
const FORMATS: Record<string, (data: Float32Array) => Float32Array> = {
  BF16: (data) => Float32Array.from(decodeFloats(encodeFloats(data, 'BF16'), 'BF16')),
  F16: (data) => data.map((x) => halfOf(x)),
  Q8_0: (data) => inBlocks(data, (padded) => decodeQ8(encodeQ8(padded) ?? refuse())),
  Q4_0: (data) => inBlocks(data, (padded) => decodeQ4(encodeQ4(padded) ?? refuse())),
};

/** The nearest number of half precision. */
function halfOf(x: number): number {
  const bits = signedHalfBits(x) ?? refuse();
  return (bits & 0x8000 ? -1 : 1) * halfValue(bits & 0x7fff);
}

/** Blocks of 32 numbers; what no row of 32 is left for is filled up with zeros. */
function inBlocks(data: Float32Array, make: (padded: Float32Array) => Float32Array): Float32Array {
  const padded = new Float32Array(Math.ceil(data.length / Q4_BLOCK) * Q4_BLOCK);
  padded.set(data);
  return make(padded).subarray(0, data.length);
}

function refuse(): never {
  throw new Error('a weight that no block can hold');
}

/** Which weights are stored in a format, the others in float32. */
const MATRIX = /^(embedding|head)$|(inProj|outProj|xProj|dtProj)$|mlp\./;
const GROUPS: readonly (readonly [what: string, pattern: RegExp])[] = [
  ['all matrices', MATRIX],
  ['everything', /./],
  ['embedding and head', /^(embedding|head)$/],
  ['projections of mixers', /(inProj|outProj|xProj|dtProj)$/],
  ['MLPs', /mlp\./],
  ['norms', /[nN]orm/],
  ['convolutions', /conv(Weight|Bias)$/],
  ['decay rates A', /ALog$/],
  ['D', /\.D$/],
  ['biases of Δ and of the gate', /(dtBias|zBias)$/],
];

const report = new Report();
const device = await openTraining('wasm');
for (const name of values.models.split(',')) {
  const loaded = await loadModel(`fixtures/models/${name}`, { precision: 'float32' });
  const texts = await textsFor(loaded);
  const weights = namedWeights(loaded.model);
  const exact = logitsOf(loaded, weights, texts);
  const rows = GROUPS.flatMap(([what, pattern]) => {
    const names = [...weights.keys()].filter((weight) => pattern.test(weight));
    if (names.length === 0) return [];
    const row: Record<string, string | number> = { model: name, what };
    for (const [format, convert] of Object.entries(FORMATS)) {
      const stored = new Map(weights);
      for (const weight of names) {
        const { data, shape } = weights.get(weight) as Tensor;
        stored.set(weight, { data: convert(Float32Array.from(data)), shape });
      }
      const { divergence, changed } = compare(exact, logitsOf(loaded, stored, texts));
      row[format] = 1000 * divergence;
      row[`${format} changed`] = 100 * changed;
    }
    return [row];
  });
  const columns: Column[] = [['stored so', 'what']];
  for (const format of Object.keys(FORMATS))
    columns.push([`${format}, mnat`, format], ['%', `${format} changed`]);
  const places = exact.reduce((sum, { length }) => sum + length, 0);
  report.table(
    'precision',
    `${name}: KL(float32‖stored) in thousandths of a nat per token, and most probable tokens that change, at ${places} places`,
    columns,
    rows,
  );
}
await device.close();
print();
if (values.json) report.save(values.json);

/** Right chains of unseen problems, or stories that the teacher writes; with where to look. */
async function textsFor({
  config,
}: LoadedModel): Promise<{ tokens: readonly number[]; from: number }[]> {
  const tasks = tasksNamed(['listops-cot:base', 'word-problems:small']);
  if (config.vocabSize !== 512) {
    return Array.from({ length: sequences }, (_, i) => {
      const { tokens, learnFrom } = exampleOf(tasks[i % 2].problem(404, i, 'test'));
      return { tokens, from: learnFrom - 1 };
    });
  }
  const teacher = await loadModel('fixtures/models/tinystories-260k');
  const begin = [teacher.bosToken ?? 1];
  const stories = await collect(
    generate(teacher, [begin], { samples: sequences, maxTokens: 128, seed: 404 }),
  );
  return stories.map(({ tokens }) => ({ tokens: [...begin, ...tokens], from: 0 }));
}

/** Log-probabilities at every place of every text. */
function logitsOf(
  { config }: LoadedModel,
  weights: ReadonlyMap<string, Tensor>,
  texts: readonly { tokens: readonly number[]; from: number }[],
): Float64Array[][] {
  const parameters = new ParameterSet(device, weights, () => false);
  const all = texts.map(({ tokens, from }) => {
    const own = { tape: new Tape(device), config, parameters: parameters.variables() };
    const { value } = modelOnTape({
      ...own,
      tokens: Int32Array.from(tokens),
      seqlen: tokens.length,
    });
    const numbers = device.read(value);
    device.reset();
    const width = numbers.length / tokens.length;
    return Array.from({ length: tokens.length - 1 - from }, (_, i) =>
      logSoftmax(numbers.subarray((from + i) * width, (from + i) * width + config.vocabSize)),
    );
  });
  parameters.free();
  return all;
}

function logSoftmax(logits: ArrayLike<number>): Float64Array {
  const row = Float64Array.from(logits);
  const most = row.reduce((a, b) => Math.max(a, b));
  const sum = Math.log(row.reduce((total, x) => total + Math.exp(x - most), 0)) + most;
  return row.map((x) => x - sum);
}

/** Mean KL(exact‖other) in nats, and the share of places whose most probable token is another. */
function compare(exact: readonly Float64Array[][], other: readonly Float64Array[][]) {
  let [sum, changed, places] = [0, 0, 0];
  exact.forEach((rows, i) => {
    rows.forEach((p, t) => {
      const q = other[i][t];
      sum += p.reduce((total, x, token) => total + Math.exp(x) * (x - q[token]), 0);
      changed += Number(bestOf(p) !== bestOf(q));
      places++;
    });
  });
  return { divergence: sum / places, changed: changed / places };
}

function bestOf(row: Float64Array): number {
  return row.indexOf(row.reduce((a, b) => Math.max(a, b)));
}
