/** One decode step with everything that happened in it. */

import { ConfigError } from '../../reference/errors.ts';
import { prefill, step } from '../../reference/model.ts';
import { newState } from '../../reference/state.ts';
import type { TraceEvent } from '../../reference/trace.ts';
import type { LoadedModel } from '../loadModel.ts';
import { drawToken } from './drawToken.ts';
import type { Prompt } from './events.ts';
import { type GenerateOptions, planDecoding } from './options.ts';
import { encodeAny } from './prompts.ts';

export interface TraceStepOptions
  extends Pick<
    GenerateOptions,
    'logitBias' | 'repetitionPenalty' | 'temperature' | 'topK' | 'topP' | 'minP' | 'seed'
  > {
  /** Which token of the prompt to watch going in, counted from 0. Default: the last. */
  position?: number;
}

export interface StepTrace {
  /** All tokens of the prompt. */
  tokens: number[];
  /** The token that was watched. */
  position: number;
  token: number;
  /** What happened, in order: the token, every layer, the logits, and the draw of the token after it. */
  events: TraceEvent[];
}

/**
 * Takes in a prompt up to one token, then that token under observation, then draws the next one.
 * @throws ConfigError for a prompt that `generate` would refuse, or a position outside of it.
 */
export function traceStep(
  loaded: LoadedModel,
  prompt: Prompt,
  { position: wanted, ...options }: TraceStepOptions = {},
): StepTrace {
  const { model, config } = loaded;
  const plan = planDecoding(options, config.vocabSize);
  const tokens = encodeAny(loaded, prompt, 0);
  const position = wanted ?? tokens.length - 1;
  if (!Number.isInteger(position) || position < 0 || position >= tokens.length) {
    throw new ConfigError(
      `position: expected a whole number from 0 to ${tokens.length - 1} (the prompt's tokens), got ${position}`,
    );
  }
  const events: TraceEvent[] = [];
  const trace = (event: TraceEvent) => events.push(event);
  const state = newState(config, model.precision);
  if (position > 0) prefill({ model, state, tokens: tokens.slice(0, position), logits: 'last' });
  const logits = step(model, state, tokens[position], trace);
  const seen = tokens.slice(0, position + 1);
  const place = { prompt: 0, sample: 0, position: seen.length, seen, logits };
  drawToken(place, plan, config.vocabSize, trace);
  return { tokens, position, token: tokens[position], events };
}
