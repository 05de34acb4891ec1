/** llama.cpp by node-llama-cpp: native code, the fastest way that its public interface has for many sequences. */

import type { Cell, Contestant } from './protocol.ts';

/** The part of node-llama-cpp 3.22 that is used here; it is not installed in the root, so neither are its types. */
interface LlamaModule {
  getLlama(options: {
    gpu: false;
    build: 'never';
    skipDownload: true;
    logLevel: 'error';
    maxThreads: number;
  }): Promise<Llama>;
}
interface Llama {
  readonly llamaCppRelease: { readonly release: string };
  loadModel(options: { modelPath: string }): Promise<LlamaModel>;
  dispose(): Promise<void>;
}
interface LlamaModel {
  createContext(options: ContextOptions): Promise<LlamaContext>;
}
interface ContextOptions {
  readonly sequences: number;
  /** Tokens of each sequence. */
  readonly contextSize: number;
  /** Tokens of one llama_decode; default: 512, or all that fit the context where that is less. */
  readonly batchSize?: number;
  readonly threads: number;
  readonly flashAttention: boolean;
  readonly experimentalKvCacheKeyType: 'F32';
  readonly experimentalKvCacheValueType: 'F32';
  readonly ignoreMemorySafetyChecks: boolean;
}
interface LlamaContext {
  readonly currentThreads: number;
  readonly contextSize: number;
  getSequence(options: { checkpoints: { max: number } }): LlamaSequence;
}
interface LlamaSequence {
  clearHistory(): Promise<void>;
  evaluate(tokens: number[], options: Greedy): AsyncGenerator<number, void, number | undefined>;
  controlledEvaluate(tokens: (number | [number, Wanted])[]): Promise<ControlledOutput[]>;
}
interface Greedy {
  readonly temperature: 0;
  /** Goes on after the end of a text: lengths are ours to choose. */
  readonly yieldEogToken: true;
}
interface Wanted {
  readonly generateNext: { readonly logits: true; readonly options: { readonly temperature: 0 } };
}
type ControlledOutput = { readonly next: { readonly logits?: Map<number, number> } } | undefined;

const GREEDY: Greedy = { temperature: 0, yieldEogToken: true };
const WITH_LOGITS: Wanted = { generateNext: { logits: true, options: { temperature: 0 } } };

/** Not a literal: the root's type check does not see bench/peers/node_modules. */
const PACKAGE: string = 'node-llama-cpp';

/**
 * Opens a model's file. Every sequence is one `evaluate()` generator; all are asked for their next token at
 * once, upon which the context decodes one token of each in a single llama_decode and samples each. That is its
 * way of batching; generators that run on their own drift apart into smaller batches.
 *
 * Flash attention is off, which is faster on a CPU; keys and values are float32, as ours.
 */
export async function openLlama(
  file: string,
  { threads, batch, context: tokens, batchTokens }: Cell,
): Promise<Contestant> {
  const { getLlama } = (await import(PACKAGE)) as LlamaModule;
  const llama = await getLlama({
    ...{ gpu: false, build: 'never', skipDownload: true, logLevel: 'error' },
    maxThreads: threads,
  });
  const model = await llama.loadModel({ modelPath: file });
  const context = await model.createContext({
    sequences: batch,
    contextSize: tokens,
    ...(batchTokens && { batchSize: batchTokens }),
    threads,
    flashAttention: false,
    experimentalKvCacheKeyType: 'F32',
    experimentalKvCacheValueType: 'F32',
    ignoreMemorySafetyChecks: true,
  });
  // a checkpoint would copy a recurrent state now and then
  const sequences = Array.from({ length: batch }, () =>
    context.getSequence({ checkpoints: { max: 0 } }),
  );
  let generators: AsyncGenerator<number, void, number | undefined>[] = [];
  const forget = async () => {
    await Promise.all(generators.map((generator) => generator.return()));
    generators = [];
    for (const sequence of sequences) await sequence.clearHistory();
  };
  /** The next token of each sequence that has a generator. */
  const nextTokens = async () => {
    const results = await Promise.all(generators.map((generator) => generator.next()));
    return results.map(({ value }) => {
      if (value === undefined) throw new Error('llama.cpp: a sequence ended');
      return value;
    });
  };
  return {
    info: `node-llama-cpp 3.22.1, llama.cpp ${llama.llamaCppRelease.release}, ${threads} threads`,
    logits: async (prompts, following) => {
      await forget();
      const all = await Promise.all(
        prompts.map(async (prompt, i) => {
          const logits = [await logitsAfter(sequences[i], prompt)];
          for (const token of following[i]) logits.push(await logitsAfter(sequences[i], [token]));
          return logits;
        }),
      );
      await forget();
      return all;
    },
    start: async (prompts) => {
      await forget();
      generators = prompts.map((prompt, i) => sequences[i].evaluate([...prompt], GREEDY));
      await nextTokens();
    },
    decode: async (steps) => {
      let tokens: number[] = [];
      for (let n = 0; n < steps; n++) tokens = await nextTokens();
      return tokens;
    },
    prefill: async (prompt) => {
      const generator = sequences[0].evaluate([...prompt], GREEDY);
      await generator.next();
      await generator.return();
      await sequences[0].clearHistory();
    },
    close: () => llama.dispose(),
  };
}

async function logitsAfter(
  sequence: LlamaSequence,
  tokens: readonly number[],
): Promise<Float32Array> {
  const input = tokens.map((token, i): number | [number, Wanted] =>
    i === tokens.length - 1 ? [token, WITH_LOGITS] : token,
  );
  const logits = (await sequence.controlledEvaluate(input)).at(-1)?.next.logits;
  if (!logits) throw new Error('llama.cpp: expected logits, got none');
  const vector = new Float32Array(logits.size);
  for (const [token, logit] of logits) vector[token] = logit;
  return vector;
}
