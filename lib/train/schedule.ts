/** How the learning rate rises and falls. */

import { ConfigError } from '../../reference/errors.ts';

export interface Schedule {
  /** Highest learning rate, > 0. */
  readonly learningRate: number;
  /** Share of all steps in which it rises from 0. Default 0.1. */
  readonly warmUp?: number;
  /**
   * How it falls: `cosine` from the end of the warm-up on; `wsd` (warm-up, stable, decay) stays and falls in a straight
   * line over the last `decay` of all steps; `constant` stays. Default `wsd`, as MOHAWK trains.
   */
  readonly shape?: 'cosine' | 'wsd' | 'constant';
  /** Share of all steps in which `wsd` falls. Default 0.1. */
  readonly decay?: number;
  /** Where it ends. Default 1e-8. */
  readonly least?: number;
}

/** The learning rate of a step, counted from 1, of `steps`. */
export function learningRateAt(schedule: Schedule, step: number, steps: number): number {
  const { learningRate, warmUp = 0.1, shape = 'wsd', decay = 0.1, least = 1e-8 } = schedule;
  const rising = Math.round(warmUp * steps);
  if (step <= rising) return (learningRate * step) / rising;
  const falling = shape === 'wsd' ? Math.round(decay * steps) : steps - rising;
  const left = steps - step;
  if (shape === 'constant' || falling === 0 || left >= falling) return learningRate;
  const share = left / falling;
  const height = shape === 'cosine' ? 0.5 * (1 - Math.cos(Math.PI * share)) : share;
  return least + (learningRate - least) * height;
}

/** @throws ConfigError for numbers out of range. */
export function checkSchedule(schedule: Schedule): void {
  const { learningRate, warmUp = 0.1, decay = 0.1, shape = 'wsd' } = schedule;
  if (!(learningRate > 0 && Number.isFinite(learningRate))) {
    throw new ConfigError(`learningRate: expected a number above 0, got ${learningRate}`);
  }
  for (const [name, share] of Object.entries({ warmUp, decay })) {
    if (!(share >= 0 && share <= 1)) {
      throw new ConfigError(`${name}: expected a share from 0 to 1, got ${share}`);
    }
  }
  if (!['cosine', 'wsd', 'constant'].includes(shape)) {
    throw new ConfigError(`shape: expected cosine, wsd or constant, got ${shape}`);
  }
}
