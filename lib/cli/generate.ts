/** `selscan generate`: decodes chains and streams them. */

import { type Command, Option } from 'commander';
import type { WeightFormat } from '../../backends/types.ts';
import { ConfigError } from '../../reference/errors.ts';
import { DEFAULT_BACKEND, openExecutor } from '../backend.ts';
import type { Budget } from '../decode/budget.ts';
import type { EndEvent, PlanEvent, Prompt } from '../decode/events.ts';
import { generate } from '../decode/generate.ts';
import type { GenerateOptions } from '../decode/options.ts';
import { loadModel } from '../loadModel.ts';
import { type Context, checkBackend, describeBackend } from './context.ts';
import { readPrompts } from './files.ts';
import { parseInteger, parseLogitBias, parseNumber, parseTexts } from './options.ts';
import { formatBytes, formatCount, type Terminal, terminalText } from './terminal.ts';

interface Flags extends Omit<GenerateOptions, 'backend' | 'signal' | 'trace' | 'budget'> {
  model: string;
  prompt?: string;
  prompts?: string;
  budgetSeconds?: number;
  budgetTokens?: number;
  backend: string;
  threads?: number;
  weights?: WeightFormat;
  json?: boolean;
}

export function addGenerate(program: Command, context: Context): void {
  sampling(
    program
      .command('generate')
      .description('decode chains of tokens from one prompt or many')
      .requiredOption(
        '--model <path>',
        'folder of the checkpoint in Hugging Face layout, or a .gguf file',
      )
      .option('--prompt <text>', 'text to continue; empty for the begin token alone')
      .option('--prompts <file>', 'file with a line {"prompt": …} for every prompt')
      .option('--samples <n>', 'chains per prompt', parseInteger, 1)
      .option('--max-tokens <n>', 'new tokens per chain, at most', parseInteger, 256)
      .option('--stop <text>', 'text that ends a chain (may be given again)', parseTexts, []),
  )
    .option('--max-rows <n>', 'chains decoded at the same time, at most', parseInteger, 64)
    .option('--budget-seconds <s>', 'ends all chains after so long and keeps them', parseNumber)
    .option('--budget-tokens <n>', 'ends all chains after so many new tokens', parseInteger)
    .addOption(new Option('--backend <name>', 'what computes').default(DEFAULT_BACKEND))
    .option('--threads <n>', 'threads that compute; wasm takes more than 1', parseInteger)
    .option('--weights <format>', 'how wasm stores the matrices: float32 or int8')
    .option('--json', 'one JSON object per finished sample, then a summary')
    .action((flags: Flags) => run(flags, context));
}

/** The options that decide how a token is drawn, in the order in which they act. */
export function sampling(command: Command): Command {
  return command
    .option(
      '--logit-bias <id=bias>',
      'added to one logit; -inf bans (may be given again)',
      parseLogitBias,
    )
    .option(
      '--repetition-penalty <r>',
      'divides logits of tokens seen before; 1 is off',
      parseNumber,
      1,
    )
    .option('--temperature <t>', 'divides all logits; 0 takes the likeliest token', parseNumber, 1)
    .option('--top-k <k>', 'keep the k likeliest tokens; 0 is off', parseInteger, 0)
    .option('--top-p <p>', 'keep the fewest tokens with this probability; 1 is off', parseNumber, 1)
    .option(
      '--min-p <m>',
      'keep tokens this likely, as a share of the likeliest; 0 is off',
      parseNumber,
      0,
    )
    .option('--seed <s>', 'makes every draw', parseInteger, 0);
}

/** Flags of the options that {@link sampling} adds. */
export type SamplingFlags = Pick<
  GenerateOptions,
  'logitBias' | 'repetitionPenalty' | 'temperature' | 'topK' | 'topP' | 'minP' | 'seed'
>;

/** Only the sampling options of a command's flags. */
export function samplingOptions(flags: SamplingFlags): SamplingFlags {
  const { logitBias, repetitionPenalty, temperature, topK, topP, minP, seed } = flags;
  const options = { logitBias, repetitionPenalty, temperature, topK, topP, minP, seed };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

async function run(flags: Flags, { terminal, signal, fail }: Context): Promise<void> {
  const { threads, weights, maxRows, json } = flags;
  const tuning = { ...(threads !== undefined && { threads }), ...(weights && { weights }) };
  checkBackend(flags.backend, tuning);
  const prompts = await promptsOf(flags);
  const loaded = await loadModel(flags.model, { signal });
  const warn = (text: string) => terminal.err(`warning: ${terminalText(text)}\n`);
  for (const warning of loaded.warnings) warn(warning);
  const options: GenerateOptions = {
    ...samplingOptions(flags),
    samples: flags.samples,
    maxTokens: flags.maxTokens,
    stop: flags.stop,
    ...(maxRows !== undefined && { maxRows }),
    budget: budgetOf(flags),
    signal,
  };
  const executor = await openExecutor(loaded.model, flags.backend, tuning);
  const show = json ? showJson(terminal) : showText(terminal, prompts, flags.samples ?? 1);
  const start = performance.now();
  let [tokens, samples, failed] = [0, 0, 0];
  let plan: PlanEvent | undefined;
  try {
    for await (const event of generate(loaded, prompts, { ...options, backend: executor })) {
      if (event.kind === 'token') {
        tokens++;
        show.token(event.text);
      } else if (event.kind === 'end') {
        samples++;
        if (event.error) failed++;
        show.end(event);
      } else {
        plan = event;
        terminal.err(`${planLine(event)}\n`);
      }
    }
  } finally {
    await executor.close();
  }
  if (failed > 0) {
    fail();
    warn(`${failed} of ${samples} samples failed: their logits were not finite`);
  }
  const seconds = (performance.now() - start) / 1000;
  const summary = {
    prompts: prompts.length,
    samples,
    ...(failed > 0 && { failed }),
    tokens,
    seconds,
    tokensPerSecond: tokens / seconds,
    ...executor.info,
    ...(plan && { rows: plan.rows, wantedRows: plan.wanted, bytesPerRow: plan.bytesPerRow }),
    seed: flags.seed ?? 0,
  };
  if (json) terminal.out(`${JSON.stringify({ summary })}\n`);
  else {
    const rate = formatCount(summary.tokensPerSecond);
    terminal.err(
      `${formatCount(tokens)} tokens in ${seconds.toFixed(2)} s: ${rate} tokens/s on ${describeBackend(executor.info)}\n`,
    );
  }
}

/** Flags that limit what all chains may cost. */
export interface BudgetFlags {
  budgetSeconds?: number;
  budgetTokens?: number;
  budgetSamples?: number;
}

/** The limits that were given. */
export function budgetOf({ budgetSeconds, budgetTokens, budgetSamples }: BudgetFlags): Budget {
  return {
    ...(budgetSeconds !== undefined && { seconds: budgetSeconds }),
    ...(budgetTokens !== undefined && { tokens: budgetTokens }),
    ...(budgetSamples !== undefined && { samples: budgetSamples }),
  };
}

function planLine({ rows, wanted, tokens, bytesPerRow }: PlanEvent): string {
  const size = `${formatBytes(bytesPerRow)} each for ${formatCount(tokens)} tokens`;
  return `memory holds ${rows} of ${wanted} chains at a time (${size}); the others wait their turn`;
}

async function promptsOf({ prompt, prompts }: Flags): Promise<Prompt[]> {
  if ((prompt === undefined) === (prompts === undefined)) {
    throw new ConfigError('prompt: expected either --prompt or --prompts', 'Usage');
  }
  return prompts === undefined ? [prompt as string] : readPrompts(prompts);
}

interface Show {
  token(text: string): void;
  end(event: EndEvent): void;
}

function showJson(terminal: Terminal): Show {
  return {
    token: () => {},
    end: ({ prompt, sample, text, tokens, finishReason, stop, error, logprob }) => {
      const line = {
        prompt,
        sample,
        text,
        tokens,
        finishReason,
        ...(stop !== undefined && { stop }),
        ...(error && { error }),
        logprob,
      };
      terminal.out(`${JSON.stringify(line)}\n`);
    },
  };
}

/** One chain is streamed; of several, each is shown when it ends. */
function showText(terminal: Terminal, prompts: readonly Prompt[], samples: number): Show {
  const isSingle = prompts.length * samples === 1;
  const opening = (prompt: Prompt) =>
    typeof prompt === 'string' ? terminal.style('dim', terminalText(prompt)) : '';
  let isOpen = false;
  const open = () => {
    if (!isOpen) terminal.out(opening(prompts[0]));
    isOpen = true;
  };
  return {
    token: (text) => {
      if (!isSingle) return;
      open();
      terminal.out(terminalText(text));
    },
    end: ({ prompt, sample, text, rest, finishReason }) => {
      if (isSingle) terminal.out(`${terminalText(rest)}\n`);
      else {
        const title = `prompt ${prompt}, sample ${sample} (${finishReason})`;
        terminal.out(
          `${terminal.style('bold', title)}\n${opening(prompts[prompt])}${terminalText(text)}\n\n`,
        );
      }
    },
  };
}
