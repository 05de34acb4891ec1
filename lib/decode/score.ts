/** How likely a model finds a text: the log-probability of each of its tokens. */

import { checkTokens } from '../../backends/rows.ts';
import type { Executor, Row } from '../../backends/types.ts';
import { SelscanError } from '../../reference/errors.ts';
import { logprobOf } from '../../reference/sampling.ts';
import { emptyOf, type Tensor, type Vector, zeros } from '../../reference/tensor.ts';
import { DEFAULT_BACKEND, openExecutor } from '../backend.ts';
import { type LoadedModel, requireTokenizer } from '../loadModel.ts';
import { encodePrompt } from '../tokenizer/tokenizer.ts';

export interface ScoreOptions {
  /** Whether to return the logits too, which take seqlen·vocabRows numbers. Default false. */
  withLogits?: boolean;
  /** What computes: a backend by name, or an executor of this model. Default {@link DEFAULT_BACKEND}. */
  backend?: string | Executor;
  signal?: AbortSignal;
}

export interface Score {
  tokens: number[];
  /** ln P(token | tokens before it); null for the first token, which nothing predicts. */
  logprobs: (number | null)[];
  /** Row t predicts token t + 1. Shape (seqlen, vocabRows). */
  logits?: Tensor;
}

/**
 * Log-probabilities of a text (with a begin token as the tokenizer says) or of token ids (literally).
 * @throws ConfigError for an empty text, a token id that the model lacks, or more tokens than its context.
 */
export async function score(
  loaded: LoadedModel,
  text: string | readonly number[],
  { withLogits = false, backend = DEFAULT_BACKEND, signal }: ScoreOptions = {},
): Promise<Score> {
  const tokens =
    typeof text === 'string' ? encodePrompt(requireTokenizer(loaded), text) : [...text];
  checkTokens(loaded.config, tokens, 0);
  const executor =
    typeof backend === 'object' ? backend : await openExecutor(loaded.model, backend);
  const rows: Row[] = [];
  try {
    const width = loaded.config.vocabRows;
    const like = emptyOf(executor.info.precision);
    const all = withLogits && zeros(tokens.length * width, like);
    const logprobs: (number | null)[] = [null];
    for (const [t, token] of tokens.entries()) {
      if (signal?.aborted) throw new SelscanError('Aborted', 'score: aborted by its signal');
      const logits = await next(executor, rows, token);
      if (all) all.set(logits, t * width);
      if (t + 1 < tokens.length) logprobs.push(logprobOf(logits, tokens[t + 1]));
      if (t % 32 === 0) await new Promise((resolve) => setTimeout(resolve, 0)); // lets signals run
    }
    const logits = all && { logits: { data: all, shape: [tokens.length, width] } };
    return { tokens, logprobs, ...logits };
  } finally {
    for (const row of rows) executor.release(row);
    if (executor !== backend) await executor.close();
  }
}

/** Takes in one token of the only row, which the first token makes; returns the logits of the next. */
async function next(executor: Executor, rows: Row[], token: number): Promise<Vector> {
  if (rows.length > 0) return (await executor.step(rows, [token]))[0];
  const [{ row, logits }] = await executor.prefill([[token]]);
  rows.push(row);
  return logits;
}
