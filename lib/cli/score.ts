/** `selscan score`: log-probabilities of a text's tokens. */

import { type Command, Option } from 'commander';
import { ConfigError } from '../../reference/errors.ts';
import { DEFAULT_BACKEND } from '../backend.ts';
import { writeAtomically } from '../checkpoint/atomicFile.ts';
import { encodeSafetensors } from '../checkpoint/tensorFile.ts';
import { score } from '../decode/score.ts';
import { StreamingText } from '../decode/text.ts';
import { loadModel } from '../loadModel.ts';
import { type Context, checkBackend } from './context.ts';
import { parseTokens } from './options.ts';
import { formatTable, terminalText } from './terminal.ts';

interface Flags {
  model: string;
  text?: string;
  tokens?: number[];
  logits?: string;
  backend: string;
  json?: boolean;
}

export function addScore(program: Command, context: Context): void {
  program
    .command('score')
    .description('log-probability of each token of a text')
    .requiredOption(
      '--model <path>',
      'folder of the checkpoint in Hugging Face layout, or a .gguf file',
    )
    .option('--text <text>', 'text to score, with a begin token as the tokenizer says')
    .option('--tokens <ids>', 'token ids to score, taken literally: 1,2,3', parseTokens)
    .option('--logits <file>', 'also write all logits, tensor "logits" (seqlen, vocabSize)')
    .addOption(new Option('--backend <name>', 'what computes').default(DEFAULT_BACKEND))
    .option('--json', 'print {"tokens": […], "logprobs": [null, …]}')
    .action((flags: Flags) => run(flags, context));
}

async function run(flags: Flags, { terminal, signal }: Context): Promise<void> {
  checkBackend(flags.backend);
  const input = flags.text ?? flags.tokens;
  if (input === undefined || (flags.text !== undefined && flags.tokens !== undefined)) {
    throw new ConfigError('text: expected either --text or --tokens', 'Usage');
  }
  const loaded = await loadModel(flags.model, { signal });
  const withLogits = flags.logits !== undefined;
  const { tokens, logprobs, logits } = await score(loaded, input, {
    withLogits,
    backend: flags.backend,
    signal,
  });
  if (flags.logits !== undefined && logits) {
    await writeAtomically(flags.logits, encodeSafetensors(new Map([['logits', logits]])));
  }
  if (flags.json) {
    terminal.out(`${JSON.stringify({ tokens, logprobs })}\n`);
    return;
  }
  const total = logprobs.reduce<number>((sum, x) => sum + (x ?? 0), 0);
  const stream = loaded.tokenizer && new StreamingText(loaded.tokenizer, []);
  const rows = tokens.map((token, i) => [
    JSON.stringify(terminalText(stream?.push(token) ?? '')),
    String(token),
    logprobs[i] === null ? '–' : (logprobs[i] as number).toFixed(4),
  ]);
  terminal.out(`${formatTable([['text', 'token', 'logprob'], ...rows])}\n`);
  const predicted = tokens.length - 1;
  if (predicted > 0) {
    const perToken = total / predicted;
    terminal.err(
      `sum ${total.toFixed(4)}, mean ${perToken.toFixed(4)}, perplexity ${Math.exp(-perToken).toFixed(3)}\n`,
    );
  }
}
