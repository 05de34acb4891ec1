/** Right and wrong: what the tasks' verifiers say of a chain at each of its places. */

import { IGNORED_LABEL } from '../../reference/labels.ts';
import type { Content, Task } from '../tasks/task.ts';
import { decodeText, encodeText } from '../tasks/vocabulary.ts';
import type { Batch } from '../train/batches.ts';
import type { ChainTokens } from './chains.ts';

/** A chain behind its prompt, and what is known at each of its tokens. */
export interface LabelledChain extends ChainTokens {
  /** 1 right, 0 wrong, −100 where nothing is said. Length of tokens. */
  readonly labels: readonly number[];
}

/**
 * Labels a chain: at the end of each step whether all steps so far are right and in order, at the end token whether
 * the answer is right, whatever led to it. A chain that was cut off has no label at its end: it has given no answer,
 * which needs no model to be seen.
 *
 * The tokens within steps are labelled as well, until one is not that of the right chain: that one is wrong, those
 * before it are right, and the model is shown where it was that a step went wrong.
 * @param prompt tokens of the prompt, which are not judged.
 */
export function labelChain(
  chain: ChainTokens,
  prompt: number,
  task: Task,
  problem: Content,
): LabelledChain {
  const { tokens, stepEnds, isEnded } = chain;
  const labels = tokens.map((): number => IGNORED_LABEL);
  const right = encodeText(problem.chain);
  for (let i = prompt; i < tokens.length; i++) {
    labels[i] = tokens[i] === right[i - prompt] ? 1 : 0;
    if (labels[i] === 0) break;
  }
  // each beginning is judged by itself, so that no word of a text can be counted to the wrong place
  for (const end of stepEnds) {
    const { firstWrong } = task.verifySteps(problem, decodeText(tokens.slice(prompt, end + 1)));
    labels[end] = firstWrong < 0 ? 1 : 0;
  }
  if (isEnded) {
    const isRight = task.verifyOutcome(problem, decodeText(tokens.slice(prompt)));
    labels[tokens.length - 1] = isRight ? 1 : 0;
  }
  return { ...chain, labels };
}

/** How many labels there are, and the shares of them that say right; 0 of none. */
export interface LabelCounts {
  readonly chains: number;
  /** Chains with an end token, and the share of right answers among them. */
  readonly ended: number;
  readonly right: number;
  /** Ends of steps before it, and the share of those that come after right steps only. */
  readonly steps: number;
  readonly rightSteps: number;
}

export function countsOf(chains: readonly LabelledChain[]): LabelCounts {
  const ends = chains.flatMap(({ isEnded, labels }) => (isEnded ? labels.slice(-1) : []));
  const steps = chains.flatMap(({ stepEnds, labels }) => stepEnds.map((end) => labels[end]));
  const share = (of: readonly number[]) =>
    of.filter((label) => label === 1).length / (of.length || 1);
  return {
    ...{ chains: chains.length, ended: ends.length, right: share(ends) },
    ...{ steps: steps.length, rightSteps: share(steps) },
  };
}

/** Puts labelled chains side by side, padded behind. They must not be longer than `seqlen`. */
export function labelledBatch(
  chains: readonly LabelledChain[],
  seqlen: number,
  padToken: number,
): Batch {
  const tokens = new Int32Array(chains.length * seqlen).fill(padToken);
  const targets = new Int32Array(chains.length * seqlen).fill(IGNORED_LABEL);
  chains.forEach((chain, row) => {
    tokens.set(chain.tokens, row * seqlen);
    targets.set(chain.labels, row * seqlen);
  });
  return { tokens, targets, seqlen };
}
