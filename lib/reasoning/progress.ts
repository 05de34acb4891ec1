/** How far a run is: counted while it goes on, told now and then. */

import type { Budget } from '../decode/budget.ts';

/** How far a model's part of a run is. */
export interface ScaleProgress {
  readonly model: string;
  readonly phase: 'loading' | 'measuring' | 'sampling' | 'done';
  /** Chains that are there, and those of them from before. */
  readonly chains: number;
  readonly before: number;
  readonly wanted: number;
  /** Of the chains that are judged, those that are right. */
  readonly judged: number;
  readonly right: number;
  /** New tokens and seconds of this start. */
  readonly tokens: number;
  readonly seconds: number;
  /** Until all chains are there or the budget is used up, where that can be told. */
  readonly secondsLeft?: number;
}

interface ProgressOptions {
  onProgress?: (progress: ScaleProgress) => void;
  budget?: Budget;
  budgetPer?: 'run' | 'problem';
}

/** Counts, and tells at every chain and every 64 tokens. */
export function progressOf(
  { model, wanted, before }: Pick<ScaleProgress, 'model' | 'wanted' | 'before'>,
  { onProgress, budget, budgetPer }: ProgressOptions,
) {
  let [tokens, made, judged, right] = [0, 0, 0, 0];
  let start = performance.now();
  let phase: ScaleProgress['phase'] = 'loading';
  const tell = (next: ScaleProgress['phase'] = phase): ScaleProgress => {
    if (next === 'sampling' && phase !== 'sampling') start = performance.now();
    phase = next;
    const seconds = (performance.now() - start) / 1000;
    const chains = before + made;
    const left = [
      made > 0 ? ((wanted - chains) * seconds) / made : Number.POSITIVE_INFINITY,
      budgetPer !== 'problem' && budget?.seconds
        ? budget.seconds - seconds
        : Number.POSITIVE_INFINITY,
    ];
    const secondsLeft = Math.max(0, Math.min(...left));
    const progress: ScaleProgress = {
      ...{ model, phase, chains, before, wanted, judged, right, tokens, seconds },
      ...(Number.isFinite(secondsLeft) && { secondsLeft }),
    };
    onProgress?.(progress);
    return progress;
  };
  return Object.assign(tell, {
    addTokens: (count: number) => {
      tokens += count;
      if (tokens % 64 === 0) tell();
    },
    addChain: (isCorrect?: boolean) => {
      made++;
      if (isCorrect !== undefined) judged++;
      if (isCorrect) right++;
      tell();
    },
  });
}
