/** How likely a model finds a text: the log-probability of each of its tokens. */

import { ConfigError, SelscanError } from '../../reference/errors.ts';
import { prefill } from '../../reference/model.ts';
import { logprobOf } from '../../reference/sampling.ts';
import { newState } from '../../reference/state.ts';
import { type Tensor, zeros } from '../../reference/tensor.ts';
import { type LoadedModel, requireTokenizer } from '../loadModel.ts';
import { encodePrompt } from '../tokenizer/tokenizer.ts';

export interface ScoreOptions {
  /** Whether to return the logits too, which take seqlen·vocabRows numbers. Default false. */
  withLogits?: boolean;
  signal?: AbortSignal;
}

export interface Score {
  tokens: number[];
  /** ln P(token | tokens before it); null for the first token, which nothing predicts. */
  logprobs: (number | null)[];
  /** Row t predicts token t + 1. Shape (seqlen, vocabRows). */
  logits?: Tensor;
}

/** Tokens taken in at once: their logits are all that is kept besides the result. */
const CHUNK = 32;

/**
 * Log-probabilities of a text (with a begin token as the tokenizer says) or of token ids (literally).
 * @throws ConfigError for an empty text, a token id that the model lacks, or more tokens than its context.
 */
export async function score(
  loaded: LoadedModel,
  text: string | readonly number[],
  { withLogits = false, signal }: ScoreOptions = {},
): Promise<Score> {
  const { model, config } = loaded;
  const tokens =
    typeof text === 'string' ? encodePrompt(requireTokenizer(loaded), text) : [...text];
  if (tokens.length === 0)
    throw new ConfigError('score: expected at least one token', 'EmptyPrompt');
  if (tokens.length > (config.contextLength ?? Number.POSITIVE_INFINITY)) {
    throw new ConfigError(
      `score: expected at most ${config.contextLength} tokens (the model's context), got ${tokens.length}`,
      'ContextLength',
    );
  }
  const state = newState(config, model.precision);
  const logprobs: (number | null)[] = [null];
  const width = config.vocabRows;
  const like = model.precision === 'float32' ? new Float32Array(0) : new Float64Array(0);
  const allLogits = withLogits ? zeros(tokens.length * width, like) : undefined;
  for (let start = 0; start < tokens.length; start += CHUNK) {
    if (signal?.aborted) throw new SelscanError('Aborted', 'score: aborted by its signal');
    const chunk = tokens.slice(start, start + CHUNK);
    const { logits } = prefill({ model, state, tokens: chunk });
    allLogits?.set(logits.data, start * width);
    for (let t = 0; t < chunk.length; t++) {
      const next = tokens[start + t + 1];
      if (next === undefined) break;
      logprobs.push(logprobOf(logits.data.subarray(t * width, (t + 1) * width), next));
    }
    await new Promise((resolve) => setTimeout(resolve, 0)); // let signals and timers run
  }
  const logits = allLogits && { logits: { data: allLogits, shape: [tokens.length, width] } };
  return { tokens, logprobs, ...logits };
}
