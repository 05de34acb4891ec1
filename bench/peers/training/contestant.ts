/** The process of a contestant that runs on Node: `contestant.ts WHO`, one JSON line in, one out. */

import { createInterface } from 'node:readline';
import { clock } from '../../timing.ts';
import { openJax } from './jax.ts';
import { openOurs } from './ours.ts';
import type { Answers, Reply, Request, Trainer } from './protocol.ts';

const [who] = process.argv.slice(2);
let trainer: Trainer | undefined;

for await (const line of createInterface({ input: process.stdin })) {
  let reply: Reply;
  try {
    reply = { answer: await answer(JSON.parse(line)) };
  } catch (error) {
    reply = { error: error instanceof Error ? error.message : String(error) };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
// threads of the kernels would keep an orphan alive
process.exit();

async function answer(request: Request): Promise<Answers[Request['ask']]> {
  if (request.ask === 'open') {
    const { folder, threads } = request;
    trainer = await (who === 'jax-js' ? openJax(folder) : openOurs(folder, threads));
    return { info: trainer.info };
  }
  const losses: number[] = [];
  const time = await clock(async () => {
    for (let n = 0; n < request.steps; n++) losses.push(await opened().step());
  });
  return { losses, ...time };
}

function opened(): Trainer {
  if (trainer) return trainer;
  throw new Error('contestant: expected to be opened first');
}
