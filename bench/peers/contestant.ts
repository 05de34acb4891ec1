/** The process of one contestant: opens a model, then does what it is asked, one thing at a time. */

import { clock } from '../timing.ts';
import { measureCeiling } from './ceilings.ts';
import { openLlama } from './llama.ts';
import { peakBytes } from './memory.ts';
import { openOurs } from './ours.ts';
import type { Answers, Ask, Contestant, Reply, Request } from './protocol.ts';

let contestant: Contestant | undefined;

process.on('message', async ({ id, request }: { id: number; request: Request }) => {
  let reply: Reply;
  try {
    reply = { id, answer: await answer(request) };
  } catch (error) {
    reply = { id, error: error instanceof Error ? error.message : String(error) };
  }
  process.send?.(reply);
});
// an orphan must not go on computing
process.on('disconnect', () => process.exit());

async function answer(request: Request): Promise<Answers[Ask]> {
  switch (request.ask) {
    case 'open': {
      const { who, cell, file, backend } = request.entry;
      contestant = await (who === 'ours' ? openOurs(backend, cell) : openLlama(file, cell));
      return { info: contestant.info, node: process.version };
    }
    case 'logits':
      return opened().logits(request.prompts, request.tokens);
    case 'start':
      await opened().start(request.prompts);
      return undefined;
    case 'decode': {
      let tokens: number[] = [];
      const time = await clock(async () => {
        tokens = await opened().decode(request.steps);
      });
      return { ...time, tokens };
    }
    case 'prefill':
      return clock(() => opened().prefill(request.prompt));
    case 'memory':
      return { peakBytes: peakBytes('self') ?? 1024 * process.resourceUsage().maxRSS };
    case 'version':
      return { node: process.version };
    case 'ceiling':
      return measureCeiling(request.what, request.seconds);
    case 'close':
      await contestant?.close();
      return undefined;
  }
}

function opened(): Contestant {
  if (contestant) return contestant;
  throw new Error('contestant: expected to be opened first');
}
