/** The loop of training: a batch, a loss, a step; saved every so often, resumable to the bit. */

import type { Numbers, TrainingDevice } from '../../backends/training.ts';
import { ConfigError, SelscanError } from '../../reference/errors.ts';
import type { Tensor } from '../../reference/tensor.ts';
import { type OptimiserOptions, ParameterSet } from './optimiser.ts';
import { type LossCurve, resumeRun, saveRun } from './savedRun.ts';
import { checkSchedule, learningRateAt, type Schedule } from './schedule.ts';
import { Tape, type Variable } from './tape.ts';

/** Puts one step's losses on a tape. Returns the loss that is shown, and how many tokens were seen. */
export type Objective = (call: {
  tape: Tape;
  parameters: ReadonlyMap<string, Variable>;
  /** From 1. */
  step: number;
}) => { loss: Numbers; tokens: number };

export interface TrainOptions {
  device: TrainingDevice;
  weights: ReadonlyMap<string, Tensor>;
  /** Which weights are trained, by name. Default all. */
  isTrained?: (name: string) => boolean;
  steps: number;
  objective: Objective;
  schedule: Schedule;
  optimiser?: OptimiserOptions;
  /** Where the run is saved and goes on from, and what tells one run from another. Default: nowhere. */
  saved?: { folder: string; recipe: string; everySeconds?: number };
  onProgress?: (progress: TrainProgress) => void;
  signal?: AbortSignal;
  /** Says where a loss came to be not finite, for the message. */
  findCause?: (parameters: ReadonlyMap<string, Variable>, step: number) => string;
}

export interface TrainProgress {
  step: number;
  steps: number;
  loss: number;
  /** Of the gradient, before clipping. */
  gradientNorm: number;
  learningRate: number;
  tokens: number;
  /** Of this call, without what a resumed run had done before. */
  seconds: number;
  secondsLeft: number;
}

export interface TrainResult {
  weights: Map<string, Tensor>;
  curve: LossCurve;
  /** Steps done; fewer than asked for where the signal has fired. */
  step: number;
  tokens: number;
  /** Of the whole run, interruptions left out; `tokens` are those of this call. */
  seconds: number;
}

/**
 * Trains weights.
 * @throws SelscanError with code LossNotFinite naming the step, the cause and the last good save; ConfigError for
 *   options out of range or a saved run of another recipe.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { device, steps, objective, schedule, saved, signal, onProgress } = options;
  if (!Number.isInteger(steps) || steps < 1) {
    throw new ConfigError(`steps: expected a whole number ≥ 1, got ${steps}`);
  }
  checkSchedule(schedule);
  const parameters = new ParameterSet(device, options.weights, options.isTrained);
  try {
    const before = saved && (await resumeRun(saved.folder, saved.recipe, parameters));
    const curve = before?.curve ?? [];
    const begin = performance.now();
    const secondsSoFar = () => (before?.seconds ?? 0) + (performance.now() - begin) / 1e3;
    const save = async (seconds: number) => {
      if (saved) await saveRun(saved.folder, saved.recipe, parameters, { curve, seconds });
    };
    const first = parameters.step;
    let lastSave = begin;
    let lastSaved = first;
    let tokens = 0;
    while (parameters.step < steps && !signal?.aborted) {
      const step = parameters.step + 1;
      const learningRate = learningRateAt(schedule, step, steps);
      const how = { learningRate, optimiser: options.optimiser };
      const { loss, gradientNorm, tokens: seen } = takeStep(parameters, objective, step, how);
      device.reset();
      if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
        const cause =
          options.findCause?.(parameters.variables(), step) ?? 'a gradient that is not finite';
        throw lossNotFinite(
          loss,
          step,
          cause,
          saved && lastSaved > 0 ? { ...saved, lastSaved } : undefined,
        );
      }
      curve.push([step, loss]);
      tokens += seen;
      const now = performance.now();
      if (now - lastSave > 1e3 * (saved?.everySeconds ?? 60)) {
        await save(secondsSoFar());
        [lastSave, lastSaved] = [now, step];
      }
      const seconds = (now - begin) / 1e3;
      const secondsLeft = (seconds / (step - first)) * (steps - step);
      onProgress?.({ step, steps, loss, gradientNorm, learningRate, tokens, seconds, secondsLeft });
      // lets timers and signals through
      await new Promise((resolve) => setTimeout(resolve));
    }
    const seconds = secondsSoFar();
    if (parameters.step > first) await save(seconds);
    return { weights: parameters.weights(), curve, step: parameters.step, tokens, seconds };
  } finally {
    device.reset();
    parameters.free();
  }
}

/**
 * One step: losses, gradients, AdamW. Returns the loss before it and the gradient's norm before clipping; where the norm
 * is not finite nothing has moved. What it took stays until the device's `reset`.
 */
export function takeStep(
  parameters: ParameterSet,
  objective: Objective,
  step: number,
  how: { learningRate: number; optimiser?: OptimiserOptions; onForward?: () => void },
): { loss: number; gradientNorm: number; tokens: number } {
  const { device } = parameters;
  const tape = new Tape(device);
  const variables = parameters.variables();
  const { loss, tokens } = objective({ tape, parameters: variables, step });
  how.onForward?.();
  tape.backward();
  const gradientNorm = parameters.update(variables, how.learningRate, how.optimiser);
  return { loss: device.read(loss)[0], gradientNorm, tokens };
}

function lossNotFinite(
  loss: number,
  step: number,
  cause: string,
  saved?: { folder: string; lastSaved: number },
): SelscanError {
  const good = saved
    ? `step ${saved.lastSaved} is saved in ${saved.folder}`
    : 'nothing had been saved';
  return new SelscanError(
    'LossNotFinite',
    `train: expected a finite loss, got ${loss} in step ${step}: ${cause}; ` +
      `${good}; take a lower learning rate or a smaller clip`,
  );
}
