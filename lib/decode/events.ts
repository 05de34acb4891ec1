/** What a run of chains tells while it goes on: every token, every end, and what did not fit. */

import type { ChatMessage } from '../tokenizer/chatTemplate.ts';

/** A text, token ids taken literally, or a conversation for the model's chat template. */
export type Prompt = string | readonly number[] | { readonly messages: readonly ChatMessage[] };

/**
 * Why a chain ended: an end token or stop text, maxTokens, the model's context being full, the signal, the
 * budget of the whole run, or something broken in this chain alone.
 */
export type FinishReason = 'stop' | 'length' | 'context' | 'aborted' | 'budget' | 'failed';

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
  /** What is broken, where finishReason is `failed`: a stable code and a line for people. */
  error?: { code: string; message: string };
  /** Sum of its tokens' logprobs. */
  logprob: number;
}

/** Comes first, and only where memory holds fewer chains at a time than were wanted. */
export interface PlanEvent {
  kind: 'plan';
  /** Chains that are decoded at the same time. */
  rows: number;
  /** Chains that would have been: maxRows, or all there are. */
  wanted: number;
  /** Longest sequence that was reckoned with, in tokens, the prompt included. */
  tokens: number;
  /** State of one sequence of that length, in bytes. */
  bytesPerRow: number;
}

export type GenerateEvent = TokenEvent | EndEvent | PlanEvent;

/** All samples of a run, once they have ended, ordered by prompt and sample. */
export async function collect(events: AsyncIterable<GenerateEvent>): Promise<EndEvent[]> {
  const ends: EndEvent[] = [];
  for await (const event of events) if (event.kind === 'end') ends.push(event);
  return ends.sort((a, b) => a.prompt - b.prompt || a.sample - b.sample);
}
