/** Chains that are scored: their tokens behind their prompt, and the places at which steps end. */

import { ConfigError } from '../../reference/errors.ts';
import type { RewardDescription } from '../checkpoint/config.ts';
import { encodeAny } from '../decode/prompts.ts';
import { requireTokenizer } from '../loadModel.ts';
import { STEP_END } from '../tasks/steps.ts';
import { encodeText, VOCABULARY } from '../tasks/vocabulary.ts';
import type { Judge } from './loadReward.ts';

/** A prompt and what was written about it; `{ ...end, prompt }` of generate's end events is one. */
export interface ChainToScore {
  /** A text, with a begin token as the tokenizer says, or token ids taken literally. */
  readonly prompt: string | readonly number[];
  /** New tokens, an end token among them if the chain came to its end. Go before `text`. */
  readonly tokens?: readonly number[];
  /** What the tokens say. */
  readonly text?: string;
  /** Of a chain given as text: whether it came to its end, `stop`, or was cut off. Default `stop`. */
  readonly finishReason?: string;
}

/** A chain as the model reads it. */
export interface ChainTokens {
  readonly tokens: readonly number[];
  /** Index of the first token behind the prompt. */
  readonly begin: number;
  /** Indices of the tokens that end a step, in order. */
  readonly stepEnds: readonly number[];
  /** Whether an end token stands at the end. */
  readonly isEnded: boolean;
}

/** The tokens that end steps and chains; of a model that knows no steps the latter alone. */
export interface EndTokens {
  readonly eosTokens: readonly number[];
  readonly reward?: RewardDescription;
}

/** Where a judge's chains and steps end: a model that writes the tasks' words knows the end of their steps. */
function endsOf({ eosTokens, reward, config }: Judge): EndTokens {
  if (reward) return { eosTokens, reward };
  const isOfTasks = config.vocabSize === VOCABULARY.length;
  return { eosTokens, ...(isOfTasks && { reward: { stepToken: encodeText(STEP_END)[0] } }) };
}

/** Finds the ends of a chain's steps; those of the prompt are none of its. */
export function chainTokens(
  prompt: readonly number[],
  chain: readonly number[],
  { eosTokens, reward }: EndTokens,
): ChainTokens {
  const tokens = [...prompt, ...chain];
  const isEnded = chain.length > 0 && eosTokens.includes(chain[chain.length - 1]);
  const stepEnds: number[] = [];
  chain.forEach((token, i) => {
    if (token === reward?.stepToken) stepEnds.push(prompt.length + i);
  });
  return { tokens, begin: prompt.length, stepEnds, isEnded };
}

/**
 * Turns a chain into tokens.
 * @throws ConfigError naming the chain, for an empty prompt, a token id that the model lacks, or a chain longer than its
 *   context; with code NoTokenizer for a text where there is no tokenizer.
 */
export function encodeChain(judge: Judge, chain: ChainToScore, index: number): ChainTokens {
  const who = `chain ${index}`;
  const prompt = encodeAny(judge, chain.prompt, index);
  const own = chain.tokens ?? tokensOfText(judge, chain, who);
  const { vocabSize, contextLength = Number.POSITIVE_INFINITY } = judge.config;
  const wrong = own.find((token) => !Number.isInteger(token) || token < 0 || token >= vocabSize);
  if (wrong !== undefined) {
    throw new ConfigError(
      `${who}: expected token ids in [0, ${vocabSize}), got ${wrong}; are they from this model's tokenizer?`,
      'TokenRange',
    );
  }
  const length = prompt.length + own.length;
  if (length > contextLength) {
    throw new ConfigError(
      `${who}: expected at most ${contextLength} tokens with its prompt (the model's context), got ${length}; leave it out`,
      'ContextLength',
    );
  }
  return chainTokens(prompt, own, endsOf(judge));
}

function tokensOfText(
  judge: Judge,
  { text, finishReason = 'stop' }: ChainToScore,
  who: string,
): number[] {
  if (text === undefined) {
    throw new ConfigError(`${who}: expected its text or its tokens, got neither`, 'EmptyChain');
  }
  const tokens = requireTokenizer(judge).encode(text, { addSpecialTokens: false });
  return finishReason === 'stop' ? [...tokens, judge.eosTokens[0]] : tokens;
}
