/** How much a run measures, and on what. */

export interface Settings {
  /** Few and small cases, and little time for each: to see that everything works. */
  quick: boolean;
  batches: readonly number[];
  seqlens: readonly number[];
  /** Backends by name; those that cannot run here are left out and said so. */
  backends: readonly string[];
  /** Names of SMALL_MODELS. */
  models: readonly string[];
  /** Ops of the part `kernels`; all of them when empty. */
  ops: readonly string[];
  /** Time for all rounds of one case. */
  seconds: number;
  /** A call that is expected to take longer is not made. */
  capSeconds: number;
}

/** What can be asked for by name. */
export const PARTS = [
  'reference',
  'decode',
  'kernels',
  'steps',
  'overhead',
  'prefill',
  'training',
] as const;
export type Part = (typeof PARTS)[number];
