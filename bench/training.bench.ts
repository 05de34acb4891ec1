/** Steps of training: tokens a second, and what share of the machine's arithmetic their matrix products reach. */

import type { Numbers, TrainingDevice, TrainingOps } from '../backends/training.ts';
import { initFromAttention, type ModelWithWeights } from '../lib/distil/initFromAttention.ts';
import { plain } from '../lib/distil/stages.ts';
import { VOCABULARY } from '../lib/tasks/vocabulary.ts';
import type { Batch } from '../lib/train/batches.ts';
import { openTraining } from '../lib/train/device.ts';
import { type OptimiserOptions, ParameterSet } from '../lib/train/optimiser.ts';
import { Tape } from '../lib/train/tape.ts';
import { initialWeights, teacherConfig } from '../lib/train/teacher.ts';
import { uniform } from '../reference/philox.ts';
import { measureRates } from './peers/ceilingRun.ts';
import { type Column, print, type Report, ratioColumns, timeColumns } from './report.ts';
import type { Settings } from './settings.ts';
import { race, spreadOf } from './timing.ts';

const COLUMNS: readonly Column[] = [
  ['model', 'model'],
  ['threads', 'threads'],
  ['batch', 'batch'],
  ['tokens', 'seqlen'],
  ['ms', 'ms'],
  ['tokens/s', 'tokensPerSecond'],
  ['GFLOP/s', 'gflops'],
  ['of ceiling', 'share'],
];
/** Batch and seqlen. */
export const SHAPES = [
  [48, 96],
  [6, 1024],
] as const;
/** How far a first loss may be from the reference's: float32 sums of some hundred terms. */
const TOLERANCE = 1e-5;

/** The demo models' shapes: a teacher of 0.74 M parameters, and the students that come from it. */
export function trainingModels(): Record<string, ModelWithWeights> {
  const sizes = { dModel: 128, layers: 4, nHeads: 4, nKvHeads: 2 };
  const config = teacherConfig({ vocabSize: VOCABULARY.length, ...sizes });
  const teacher = { config, weights: initialWeights(config, 1) };
  return {
    teacher,
    hybrid: initFromAttention(teacher, { kind: 'mambaInLlama2', keptAttention: [3], seed: 1 }),
    pure: initFromAttention(teacher, { kind: 'llamba', seed: 1 }),
  };
}

export async function benchTraining(
  { quick, seconds, models }: Settings,
  report: Report,
): Promise<void> {
  const { byThreads: ceilings } = await measureRates([1, 2]);
  for (const { threads, multiplyThenAdd, fusedMultiplyAdd = 0 } of ceilings) {
    const [plain, fused] = [multiplyThenAdd, fusedMultiplyAdd].map((n) => (n / 1e9).toFixed(1));
    print(`ceiling of ${threads} threads: ${plain} GFLOP/s, fused ${fused}`);
  }
  const chosen = Object.entries(trainingModels()).filter(
    ([name]) => models.includes(name) || !models.some((one) => one in trainingModels()),
  );
  for (const [name, model] of chosen) await expectReferenceLoss(name, model);
  for (const [batch, seqlen] of quick ? SHAPES.slice(0, 1) : SHAPES) {
    const rows = [];
    for (const { threads, multiplyThenAdd, fusedMultiplyAdd } of ceilings) {
      const device = await openTraining('wasm', { threads });
      const isFused = device.name.includes('relaxed') && fusedMultiplyAdd !== undefined;
      const ceiling = isFused ? Math.max(fusedMultiplyAdd, multiplyThenAdd) : multiplyThenAdd;
      for (const [name, model] of chosen) {
        const data = randomBatch(batch, seqlen);
        const flops = flopsOf(device, model, data);
        const { step, free } = stepOf(device, model, data);
        const [timing] = await race([step], { seconds: seconds / 2, mostRounds: 25 });
        free();
        const time = timeColumns(timing);
        const gflops = timing.samples.map((ms) => flops / ms / 1e6);
        rows.push({
          ...{ model: name, threads, batch, seqlen, ...time },
          tokensPerSecond: (1000 * batch * seqlen) / Number(time.ms),
          ...ratioColumns('gflops', spreadOf(gflops)),
          share: `${((1e11 * spreadOf(gflops).median) / ceiling).toFixed(0)} %`,
        });
      }
      await device.close();
    }
    report.table('training', 'a step: forward, backward, AdamW', COLUMNS, rows);
  }
}

/** A step of training on one batch, again and again. It returns the loss before it. */
export function stepOf(
  device: TrainingDevice,
  { config, weights }: ModelWithWeights,
  batch: Batch,
  { learningRate, ...options }: OptimiserOptions & { learningRate: number } = {
    learningRate: 1e-4,
  },
): { step: () => number; free: () => void } {
  const parameters = new ParameterSet(device, weights);
  const objective = plain({ config }, () => batch);
  const step = () => {
    const tape = new Tape(device);
    const variables = parameters.variables();
    const { loss } = objective({ tape, parameters: variables, step: 1 });
    tape.backward();
    parameters.update(variables, learningRate, options);
    const [value] = device.read(loss);
    device.reset();
    return value;
  };
  return { step, free: () => parameters.free() };
}

/** Tokens by chance, each to be learned. */
export function randomBatch(batch: number, seqlen: number): Batch {
  const draw = (problem: number) =>
    Int32Array.from({ length: batch * seqlen }, (_, position) => {
      const place = { seed: 1, problem, sample: 0, position, purpose: 'problems' } as const;
      return Math.floor(uniform(place) * VOCABULARY.length);
    });
  return { tokens: draw(1), targets: draw(2), seqlen };
}

/** Multiplications and additions of a step's matrix products, attention's among them, forward and backward. */
export function flopsOf(device: TrainingDevice, model: ModelWithWeights, batch: Batch): number {
  let flops = 0;
  const size = ({ shape }: Numbers) => shape.reduce((product, n) => product * n, 1);
  const { linear, attention } = device.ops;
  const ops: TrainingOps = {
    ...device.ops,
    linear: {
      ...linear,
      forward: (input) => {
        // y, and the gradients of x and of the weight
        flops += 6 * input.x.shape[0] * size(input.weight);
        return linear.forward(input);
      },
    },
    attention: {
      ...attention,
      forward: (input) => {
        // q·k and p·v forward, twice as much backward, of the half that a token may see
        flops += (12 * size(input.q) * (input.seqlen + 1)) / 2;
        return attention.forward(input);
      },
    },
  };
  const { step, free } = stepOf({ ...device, ops }, model, batch);
  step();
  free();
  return flops;
}

/** Nothing that is wrong is timed: the loss before the first step is the reference's. */
export async function expectReferenceLoss(name: string, model: ModelWithWeights): Promise<void> {
  const batch = randomBatch(2, 24);
  const losses = [];
  for (const backend of ['reference', 'wasm']) {
    const device = await openTraining(backend);
    losses.push(stepOf(device, model, batch).step());
    await device.close();
  }
  const [want, got] = losses;
  if (Math.abs(got - want) <= TOLERANCE * Math.abs(want)) return;
  throw new Error(`${name}: expected the reference's loss ${want}, got ${got}`);
}
