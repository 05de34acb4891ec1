/** From a model and prompts to chains of tokens and text, as they come. */

import { DEFAULT_BACKEND, openExecutor } from '../backend.ts';
import { type LoadedModel, requireTokenizer } from '../loadModel.ts';
import type { GenerateEvent, Prompt } from './events.ts';
import { decodeChains } from './loop.ts';
import { type GenerateOptions, planDecoding } from './options.ts';
import { encodeAny } from './prompts.ts';

/**
 * Decodes chains and yields their tokens as they come, each chain followed by its end.
 *
 * Each distinct prompt is taken in once and its state copied for every sample. A chain depends on its prompt, its
 * index, the seed and the options, and on nothing that runs beside it: any one of them can be made again alone,
 * with firstPrompt and firstSample. A chain in which a logit is not finite ends alone, with finishReason `failed`
 * and what was wrong; the others go on, and nothing is thrown even if all of them fail.
 *
 * @example
 * for await (const event of generate(model, ['Once upon a time'], { maxTokens: 20 })) {
 *   if (event.kind === 'token') process.stdout.write(event.text);
 * }
 * @throws UnsupportedError for an unknown option; ConfigError for one out of range, an empty or too long
 *   prompt, or a token id that the model lacks; BackendError with code OutOfMemory where not one chain fits.
 */
export async function* generate(
  loaded: LoadedModel,
  prompts: readonly Prompt[],
  options: GenerateOptions = {},
): AsyncGenerator<GenerateEvent, void, undefined> {
  for await (const batch of generateBatches(loaded, prompts, options)) yield* batch;
}

/** {@link generate}, with the events of a step together. No batch is empty. */
export async function* generateBatches(
  loaded: LoadedModel,
  prompts: readonly Prompt[],
  options: GenerateOptions = {},
): AsyncGenerator<GenerateEvent[], void, undefined> {
  const plan = planDecoding(options, loaded.config.vocabSize, prompts.length);
  if (plan.stop.length > 0) requireTokenizer(loaded);
  const encoded = prompts.map((prompt, i) => encodeAny(loaded, prompt, i));
  const { signal, trace } = options;
  // only the reference shows the inside of a layer
  const { backend = trace ? 'reference' : DEFAULT_BACKEND } = options;
  const executor =
    typeof backend === 'object' ? backend : await openExecutor(loaded.model, backend);
  try {
    const context = { ...(signal && { signal }), ...(trace && { trace }) };
    yield* decodeChains(loaded, executor, encoded, plan, context);
  } finally {
    if (executor !== backend) await executor.close();
  }
}
