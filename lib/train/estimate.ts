/** What a run needs, before its first step: memory by a dry run of the very graph, time by a few small steps. */

import type { TrainingDevice } from '../../backends/training.ts';
import type { CountingDevice, MostBytes } from '../../backends/trainingMemory.ts';
import { sizeOf, type Tensor } from '../../reference/tensor.ts';
import type { Batch } from './batches.ts';
import { type Objective, takeStep } from './loop.ts';
import { ParameterSet } from './optimiser.ts';

/** Training with one objective: all of `train`, one stage of `distil`. */
export interface Phase {
  readonly name: string;
  readonly steps: number;
  /** Steps that a saved run has done already. Default 0. */
  readonly done?: number;
  /** What it begins with; their shapes are enough for the memory. */
  readonly weights: ReadonlyMap<string, Tensor>;
  /** Puts on a device what the objective needs besides the weights. */
  prepare(
    device: TrainingDevice,
    batch: (step: number) => Batch,
  ): { objective: Objective; isTrained: (weight: string) => boolean; free: () => void };
}

export interface PhaseNeeds {
  readonly name: string;
  readonly steps: number;
  /** Parameters of the model, and those of them that are trained. */
  readonly parameters: number;
  readonly trained: number;
  /** Bytes of weights, of AdamW's two moments, and of a teacher's weights. */
  readonly weights: number;
  readonly moments: number;
  readonly teacher: number;
  /** Bytes of a step: what is kept for the way back (a teacher's too), gradients, and what an op works in. */
  readonly activations: number;
  readonly gradients: number;
  readonly workspace: number;
}

export interface MemoryNeeds {
  readonly phases: readonly PhaseNeeds[];
  /** Bytes of the device's memory at the most, what it has taken already among them. */
  readonly peak: number;
  /** Bytes besides it while a run is saved. */
  readonly saving: number;
  readonly most: MostBytes;
}

export interface BatchSize {
  readonly batch: number;
  readonly seqlen: number;
}

/** A device whose memory ends. */
export type LimitedDevice = TrainingDevice & Required<Pick<TrainingDevice, 'memory'>>;

/**
 * The memory of a run whose batches are at most so large: its graph, run on a device that only counts.
 * @param afterwards what else is computed on the device when all phases are done.
 */
export function memoryNeeds(
  { memory }: LimitedDevice,
  phases: readonly Phase[],
  size: BatchSize,
  afterwards?: (device: TrainingDevice, size: BatchSize) => void,
): MemoryNeeds {
  const counting = memory.counting();
  const needs = phases.map((phase) => countPhase(counting, phase, size));
  afterwards?.(counting, size);
  const { most } = counting.counted();
  return {
    phases: needs,
    peak: memory.peak + most.kept + most.passing + most.workspace,
    // every number that is saved, once by itself and once in the file
    saving: Math.max(...needs.map(({ parameters, trained }) => 8 * (parameters + 2 * trained))),
    most,
  };
}

function countPhase(device: CountingDevice, phase: Phase, size: BatchSize): PhaseNeeds {
  const kept = () => device.counted().kept;
  let batch = blank(size);
  const begun = kept();
  const { objective, isTrained, free } = phase.prepare(device, () => batch);
  const teacher = kept() - begun;
  const frozen = new ParameterSet(device, phase.weights, () => false);
  const weights = kept() - begun - teacher;
  frozen.free();
  const parameters = new ParameterSet(device, phase.weights, isTrained);
  const moments = kept() - begun - teacher - weights;
  const run = (of: Batch, onForward?: () => void) => {
    batch = of;
    takeStep(parameters, objective, 1, { learningRate: 1, onForward });
    const { passing } = device.counted();
    device.reset();
    return passing;
  };
  // tables of positions double with the length and stay: shorter batches may come first
  for (let seqlen = 1; seqlen < size.seqlen; seqlen *= 2) run(blank({ batch: 1, seqlen }));
  let activations = 0;
  const passing = run(blank(size), () => {
    activations = device.counted().passing;
  });
  parameters.free();
  free();
  const counts = [...phase.weights].map(([name, { shape }]) => ({ name, count: sizeOf(shape) }));
  const total = (some: typeof counts) => some.reduce((sum, { count }) => sum + count, 0);
  return {
    ...{ name: phase.name, steps: phase.steps, parameters: total(counts) },
    trained: total(counts.filter(({ name }) => isTrained(name))),
    ...{ weights, moments, teacher, activations, gradients: passing - activations },
    workspace: device.counted().most.workspace,
  };
}

/** Milliseconds after which a step has been timed long enough. */
const LONG_ENOUGH = 200;

/**
 * Seconds of each phase's steps that are left, about: a step of an eighth of the batch and one of a quarter are timed, and what lies between
 * them is what another eighth costs.
 * @param seqlen of a usual batch.
 */
export function timeNeeds(
  device: TrainingDevice,
  phases: readonly Phase[],
  { batch, seqlen }: BatchSize,
): number[] {
  const few = Math.ceil(batch / 8);
  const more = Math.min(batch, 2 * few);
  return phases.map((phase) => {
    const [short, long] = timeSteps(device, phase, [
      blank({ batch: few, seqlen }),
      blank({ batch: more, seqlen }),
    ]);
    const each = more > few ? Math.max(long - short, 0) / (more - few) : 0;
    // never more than if every row cost as much
    const { steps, done = 0 } = phase;
    return (steps - done) * Math.min(long + each * (batch - more), (long * batch) / more);
  });
}

/** Seconds of the best step on each batch. The device is then as it was before. */
function timeSteps(device: TrainingDevice, phase: Phase, batches: readonly Batch[]): number[] {
  let batch = batches[0];
  const { objective, isTrained, free } = phase.prepare(device, () => batch);
  try {
    const parameters = new ParameterSet(device, phase.weights, isTrained);
    try {
      return batches.map((one) => {
        batch = one;
        let best = Number.POSITIVE_INFINITY;
        const begin = performance.now();
        for (let last = begin; last - begin < LONG_ENOUGH; ) {
          takeStep(parameters, objective, 1, { learningRate: 1e-8 });
          device.reset();
          const now = performance.now();
          best = Math.min(best, now - last);
          last = now;
        }
        return best / 1e3;
      });
    } finally {
      device.reset();
      parameters.free();
    }
  } finally {
    free();
  }
}

/** The largest batch that `fits`, below one that does not; 0 where none does. Asks for none that is much larger. */
export function largestBatch(tooLarge: number, fits: (batch: number) => boolean): number {
  let [fitting, tooMany] = [0, tooLarge];
  for (let batch = 1; batch < tooMany; batch *= 2) {
    if (fits(batch)) fitting = batch;
    else tooMany = batch;
  }
  while (tooMany - fitting > 1) {
    const middle = Math.floor((fitting + tooMany) / 2);
    if (fits(middle)) fitting = middle;
    else tooMany = middle;
  }
  return fitting;
}

/** A batch without a meaning: every token is the first one, and all are to be learned. */
function blank({ batch, seqlen }: BatchSize): Batch {
  const tokens = new Int32Array(batch * seqlen);
  return { tokens, targets: tokens.slice(), seqlen };
}
