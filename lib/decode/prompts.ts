/** From prompts of any kind to token ids that the model can take in. */

import { ConfigError } from '../../reference/errors.ts';
import { type LoadedModel, requireTokenizer } from '../loadModel.ts';
import type { ChatMessage } from '../tokenizer/chatTemplate.ts';
import { encodePrompt } from '../tokenizer/tokenizer.ts';
import type { Prompt } from './events.ts';

/** Token ids of a prompt. @throws ConfigError naming the prompt. */
export function encodeAny(
  loaded: Omit<LoadedModel, 'model'>,
  prompt: Prompt,
  index: number,
): number[] {
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

function chatText(loaded: Omit<LoadedModel, 'model'>, messages: readonly ChatMessage[]): string {
  if (loaded.chatTemplate) return loaded.chatTemplate(messages);
  throw new ConfigError(
    `${loaded.name}: expected a chat template in tokenizer_config.json, found none; give a text instead`,
    'NoChatTemplate',
  );
}
