/** Scores of chains: how probably each is right, as a whole and so far at the end of each step. */

import type { TrainingDevice } from '../../backends/training.ts';
import { sigmoid } from '../../reference/activations.ts';
import type { ModelConfig } from '../../reference/config.ts';
import { SelscanError } from '../../reference/errors.ts';
import type { Tensor } from '../../reference/tensor.ts';
import { DEFAULT_BACKEND } from '../backend.ts';
import { roundedUp } from '../train/batches.ts';
import { openTraining } from '../train/device.ts';
import { modelOnTape } from '../train/graph.ts';
import { ParameterSet } from '../train/optimiser.ts';
import { Tape } from '../train/tape.ts';
import { type ChainTokens, type ChainToScore, encodeChain } from './chains.ts';
import { withOneRow, withOwnHead } from './head.ts';
import { likelihoods, notFinite } from './likelihoods.ts';
import { isReward, type Judge } from './loadReward.ts';

/** What a judge says of a chain. Probabilities, from 0 to 1. */
export interface ChainScores {
  /** That the answer is right. 0 for a chain that was cut off before its end: it has no answer. */
  readonly outcome: number;
  /**
   * At the end of each step: that all steps so far are right. The conclusion is the last step, and its score the
   * outcome: aggregateStepScores makes one score of them.
   */
  readonly steps: readonly number[];
}

export interface ScoreChainsOptions {
  /** What computes: `wasm` (the default) or `reference`, or a device from openTraining. */
  readonly backend?: string | TrainingDevice;
  /** Threads of a backend that is opened by name. */
  readonly threads?: number;
  /** Tokens that are computed together, padding included; a longer chain is computed alone. Default 8,192. */
  readonly batchTokens?: number;
  readonly signal?: AbortSignal;
}

/**
 * Scores chains, in batches of alike length. A chain's scores hang on that chain alone: neither what is scored beside
 * it nor the order changes a bit of them.
 * @param judge of loadJudge. A model that writes scores what it reads by how probably it would have written the same,
 *   token by token up to there: of chains of which only one is right, as the tasks' are, how sure it is of each.
 * @returns scores in the order of the chains.
 * @throws ConfigError naming the chain that the model cannot read; SelscanError with code Aborted when the signal fires,
 *   NonFiniteScore where the weights are broken.
 */
export async function scoreChains(
  judge: Judge,
  chains: readonly ChainToScore[],
  options: ScoreChainsOptions = {},
): Promise<ChainScores[]> {
  const encoded = chains.map((chain, i) => encodeChain(judge, chain, i));
  return scoreTokens(judge, encoded, options);
}

/** {@link scoreChains} of chains that are tokens already. */
export async function scoreTokens(
  judge: Judge,
  chains: readonly ChainTokens[],
  { backend = DEFAULT_BACKEND, threads, batchTokens = 8192, signal }: ScoreChainsOptions = {},
): Promise<ChainScores[]> {
  const device =
    typeof backend === 'object'
      ? backend
      : await openTraining(backend, threads === undefined ? {} : { threads });
  const { config, weights, scoresOf, width } = headOf(judge);
  const parameters = new ParameterSet(device, weights, () => false);
  const scores = new Array<ChainScores>(chains.length);
  const most = Math.min(batchTokens, Math.floor(MOST_LOGITS / width));
  try {
    for (const rows of batches(chains, most)) {
      if (signal?.aborted) throw new SelscanError('Aborted', 'scoreChains: aborted by its signal');
      const seqlen = roundedUp(Math.max(...rows.map((i) => chains[i].tokens.length)));
      const tokens = new Int32Array(rows.length * seqlen);
      rows.forEach((i, row) => {
        tokens.set(chains[i].tokens, row * seqlen);
      });
      const own = { tape: new Tape(device), config, parameters: parameters.variables() };
      const numbers = device.read(modelOnTape({ ...own, tokens, seqlen }).value);
      device.reset();
      rows.forEach((i, row) => {
        const from = row * seqlen * width;
        scores[i] = scoresOf(chains[i], numbers.subarray(from, from + seqlen * width), i);
      });
      // lets timers and signals through
      await new Promise((resolve) => setTimeout(resolve));
    }
  } finally {
    device.reset();
    parameters.free();
    if (device !== backend) await device.close();
  }
  return scores;
}

/** Logits of a batch, at most: 128 MB. */
const MOST_LOGITS = 2 ** 25;

/** What makes scores of the logits of a chain: `width` of them at each of its places. */
type ScoresOf = (
  chain: ChainTokens,
  logits: Float64Array | Float32Array,
  index: number,
) => ChainScores;

function headOf(judge: Judge): {
  config: ModelConfig;
  weights: ReadonlyMap<string, Tensor>;
  width: number;
  scoresOf: ScoresOf;
} {
  const { config, weights } = judge;
  if (isReward(judge)) {
    const own = { config: withOwnHead(config), weights: withOneRow(weights) };
    return { ...own, width: 1, scoresOf: scoresOfHead };
  }
  const { vocabSize, vocabRows } = config;
  const scoresOf: ScoresOf = (chain, logits, index) =>
    likelihoods(chain, { logits, vocabSize, vocabRows }, index);
  return { config, weights, width: vocabRows, scoresOf };
}

/** Indices of chains, in batches of alike length. */
function* batches(
  chains: readonly ChainTokens[],
  batchTokens: number,
): Generator<number[], void, undefined> {
  const lengthOf = (i: number) => roundedUp(chains[i].tokens.length);
  let rows: number[] = [];
  for (const i of [...chains.keys()].sort((a, b) => lengthOf(a) - lengthOf(b))) {
    if (rows.length > 0 && (rows.length + 1) * lengthOf(i) > batchTokens) {
      yield rows;
      rows = [];
    }
    rows.push(i);
  }
  if (rows.length > 0) yield rows;
}

function scoresOfHead(
  { tokens, stepEnds, isEnded }: ChainTokens,
  logits: Float64Array | Float32Array,
  index: number,
): ChainScores {
  const at = (place: number) => {
    const logit = logits[place];
    if (Number.isFinite(logit)) return sigmoid(logit, (x) => x);
    throw notFinite(place, index, logit);
  };
  const outcome = isEnded ? at(tokens.length - 1) : 0;
  return { outcome, steps: [...stepEnds.map(at), outcome] };
}
