/** The decode loop: many chains from many prompts, one token of each at a time. */

import type { Executor, Row } from '../../backends/types.ts';
import { ConfigError } from '../../reference/errors.ts';
import type { Vector } from '../../reference/tensor.ts';
import type { Trace } from '../../reference/trace.ts';
import { openExecutor } from '../backend.ts';
import { type LoadedModel, requireTokenizer } from '../loadModel.ts';
import type { ChatMessage } from '../tokenizer/chatTemplate.ts';
import { encodePrompt } from '../tokenizer/tokenizer.ts';
import { drawToken } from './drawToken.ts';
import { type DecodePlan, type GenerateOptions, planDecoding } from './options.ts';
import { StopWatcher, StreamingText } from './text.ts';

/** A text, token ids taken literally, or a conversation for the model's chat template. */
export type Prompt = string | readonly number[] | { readonly messages: readonly ChatMessage[] };

/**
 * Why a chain ended: an end token or stop text, maxTokens, the model's context being full, or the signal.
 */
export type FinishReason = 'stop' | 'length' | 'context' | 'aborted';

/** One token of one chain. */
export interface TokenEvent {
  kind: 'token';
  /** Index of the prompt, and of the chain among its samples. */
  prompt: number;
  sample: number;
  /** Position of the token in its sequence, the prompt included. */
  position: number;
  token: number;
  /** Text that this token completes; empty while a character or a stop text may still be incomplete. */
  text: string;
  /** ln of the token's probability under the model itself. */
  logprob: number;
  /** ln of the probability with which it was drawn, after all sampling options; 0 at temperature 0. */
  filteredLogprob: number;
}

/** The end of one chain, with all of it. */
export interface EndEvent {
  kind: 'end';
  prompt: number;
  sample: number;
  /** The chain's text without its stop text. */
  text: string;
  /** The part of it that no token event has shown: held back until it was clear that nothing follows. */
  rest: string;
  /** Its new tokens, an end token included. */
  tokens: number[];
  finishReason: FinishReason;
  /** The stop text that ended it, if one did. */
  stop?: string;
  /** Sum of its tokens' logprobs. */
  logprob: number;
}

export type GenerateEvent = TokenEvent | EndEvent;

/** A chain while it is being decoded. */
interface Chain {
  prompt: number;
  sample: number;
  row: Row;
  /** Logits of the next token. */
  logits: Vector;
  /** Prompt and output, for the repetition penalty. */
  seen: number[];
  tokens: number[];
  logprob: number;
  /** Text shown so far. */
  text: string;
  stream?: StreamingText;
  stops: StopWatcher;
  /** The stop text that ended it. */
  stop?: string;
}

/**
 * Decodes chains and yields their tokens as they come, each chain followed by its end.
 *
 * Each prompt is taken in once and its state copied for every sample. A chain depends on its prompt, its
 * index, the seed and the options, and on nothing that runs beside it.
 *
 * @example
 * for await (const event of generate(model, ['Once upon a time'], { maxTokens: 20 })) {
 *   if (event.kind === 'token') process.stdout.write(event.text);
 * }
 * @throws UnsupportedError for an unknown option; ConfigError for one out of range, an empty or too long
 *   prompt, or a token id that the model lacks.
 */
export async function* generate(
  loaded: LoadedModel,
  prompts: readonly Prompt[],
  options: GenerateOptions = {},
): AsyncGenerator<GenerateEvent, void, undefined> {
  const { config } = loaded;
  const plan = planDecoding(options, config.vocabSize);
  if (plan.stop.length > 0) requireTokenizer(loaded);
  const encoded = prompts.map((prompt, i) => encodeAny(loaded, prompt, i));
  const { backend = 'reference' } = options;
  const executor =
    typeof backend === 'object' ? backend : await openExecutor(loaded.model, backend);
  const queue = chainQueue(encoded, plan, executor, loaded);
  const live: Chain[] = [];
  const pause = pauser();
  try {
    for (;;) {
      while (live.length < plan.maxRows && !options.signal?.aborted) {
        const { value } = await queue.next();
        if (!value) break;
        live.push(value);
      }
      if (live.length === 0) return;
      for (let i = 0; i < live.length; ) {
        const chain = live[i];
        const reason = options.signal?.aborted
          ? 'aborted'
          : yield* nextToken(chain, plan, loaded, options.trace);
        if (reason === undefined) {
          i++;
          continue;
        }
        live.splice(i, 1);
        executor.release(chain.row);
        yield endOf(chain, reason);
      }
      if (live.length > 0) await feed(live, executor, options.trace);
      await pause();
    }
  } finally {
    await queue.return();
    for (const chain of live) executor.release(chain.row);
    if (executor !== backend) await executor.close();
  }
}

/** Gives every chain its newest token and takes the logits of the next. */
async function feed(live: readonly Chain[], executor: Executor, trace?: Trace): Promise<void> {
  const rows = live.map((chain) => chain.row);
  const tokens = live.map((chain) => chain.tokens[chain.tokens.length - 1]);
  const logits = await executor.step(rows, tokens, live.length === 1 ? trace : undefined);
  live.forEach((chain, i) => {
    chain.logits = logits[i];
  });
}

/** All samples of {@link generate}, once they have ended, ordered by prompt and sample. */
export async function collect(events: AsyncIterable<GenerateEvent>): Promise<EndEvent[]> {
  const ends: EndEvent[] = [];
  for await (const event of events) if (event.kind === 'end') ends.push(event);
  return ends.sort((a, b) => a.prompt - b.prompt || a.sample - b.sample);
}

/** Token ids of a prompt. @throws ConfigError naming the prompt. */
export function encodeAny(loaded: LoadedModel, prompt: Prompt, index: number): number[] {
  const { vocabRows, contextLength = Number.POSITIVE_INFINITY } = loaded.config;
  let tokens: readonly number[];
  if (typeof prompt === 'string') {
    tokens = encodePrompt(requireTokenizer(loaded), prompt);
  } else if ('messages' in prompt) {
    const text = chatText(loaded, prompt.messages);
    tokens = requireTokenizer(loaded).encode(text, { addSpecialTokens: false });
  } else {
    tokens = prompt;
  }
  if (tokens.length === 0) {
    throw new ConfigError(`prompt ${index}: expected at least one token`, 'EmptyPrompt');
  }
  const wrong = tokens.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabRows);
  if (wrong !== undefined) {
    throw new ConfigError(
      `prompt ${index}: expected token ids in [0, ${vocabRows}), got ${wrong}; ` +
        "are they from this model's tokenizer?",
      'TokenRange',
    );
  }
  if (tokens.length > contextLength) {
    throw new ConfigError(
      `prompt ${index}: expected at most ${contextLength} tokens (the model's context), ` +
        `got ${tokens.length}; shorten it`,
      'ContextLength',
    );
  }
  return [...tokens];
}

function chatText(loaded: LoadedModel, messages: readonly ChatMessage[]): string {
  if (loaded.chatTemplate) return loaded.chatTemplate(messages);
  throw new ConfigError(
    `${loaded.name}: expected a chat template in tokenizer_config.json, found none; give a text instead`,
    'NoChatTemplate',
  );
}

/** Chains in order, each prompt taken in when its first chain is due and forked for every sample. */
async function* chainQueue(
  prompts: readonly number[][],
  plan: DecodePlan,
  executor: Executor,
  { tokenizer }: LoadedModel,
): AsyncGenerator<Chain, void, undefined> {
  for (const [i, tokens] of prompts.entries()) {
    const [{ row: parent, logits }] = await executor.prefill([tokens]);
    let isOurs = true; // until the last chain takes the row itself
    try {
      for (let j = 0; j < plan.samples; j++) {
        const isLast = j === plan.samples - 1;
        const row = isLast ? parent : await executor.fork(parent);
        isOurs = !isLast;
        yield {
          prompt: plan.firstPrompt + i,
          sample: plan.firstSample + j,
          row,
          logits,
          seen: [...tokens],
          tokens: [],
          logprob: 0,
          text: '',
          ...(tokenizer && { stream: new StreamingText(tokenizer, tokens) }),
          stops: new StopWatcher(plan.stop),
        };
      }
    } finally {
      if (isOurs) executor.release(parent);
    }
  }
}

/** Draws a chain's next token and yields it. Returns why the chain ends with it, if it does. */
function* nextToken(
  chain: Chain,
  plan: DecodePlan,
  { config, eosTokens }: LoadedModel,
  trace?: Trace,
): Generator<TokenEvent, FinishReason | undefined, undefined> {
  const { token, logprob, filteredLogprob } = drawToken(chain, plan, config.vocabSize, trace);
  const position = chain.seen.length;
  chain.seen.push(token);
  chain.tokens.push(token);
  chain.logprob += logprob;
  const isEnd = eosTokens.includes(token) || plan.stopTokens.has(token);
  const piece = isEnd ? '' : (chain.stream?.push(token) ?? '');
  const { text, stop } = chain.stops.push(piece);
  chain.text += text;
  chain.stop = stop;
  const { prompt, sample } = chain;
  yield { kind: 'token', prompt, sample, position, token, text, logprob, filteredLogprob };
  if (isEnd || stop !== undefined) return 'stop';
  if (chain.tokens.length >= plan.maxTokens) return 'length';
  // the next step would put this token at `position`, which must be inside the context
  return position >= (config.contextLength ?? Number.POSITIVE_INFINITY) ? 'context' : undefined;
}

function endOf(chain: Chain, finishReason: FinishReason): EndEvent {
  const { prompt, sample, tokens, logprob, stops, stream } = chain;
  let { stop } = chain;
  let rest = '';
  if (stop === undefined) {
    // nothing follows any more: what is held back is text, unless it completes a stop text after all
    const last = stops.push(stream?.flush() ?? '');
    stop = last.stop;
    rest = last.text + stops.flush();
  }
  const text = chain.text + rest;
  const stopped = stop === undefined ? {} : { stop };
  return { kind: 'end', prompt, sample, text, rest, tokens, finishReason, ...stopped, logprob };
}

/** Lets timers and signals run, but not more often than every 10 ms: a turn of the event loop costs 1 ms. */
function pauser(): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < 10) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
    last = performance.now();
  };
}
