/**
 * `npx tsx bench/peers/sameText.ts MODEL…`: whether llama.cpp, given a model folder's weights as GGUF, would write the
 * same greedy text as we do for problems of a task.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeGguf } from '../../lib/checkpoint/ggufWriter.ts';
import { collect } from '../../lib/decode/events.ts';
import { generate } from '../../lib/decode/generate.ts';
import { loadModel } from '../../lib/loadModel.ts';
import { namedWeights } from '../../lib/plan/weights.ts';
import { exampleOf, tasksNamed } from '../../lib/train/taskData.ts';
import { print } from '../report.ts';
import { installPeers } from './install.ts';
import { openLlama } from './llama.ts';

const PROBLEMS = 20;
const MAX_TOKENS = 90;
const TASK = 'listops-cot:small';

installPeers(['llama.cpp']);
for (const folder of process.argv.slice(2)) await compare(folder);
process.exit();

async function compare(folder: string): Promise<void> {
  const loaded = await loadModel(folder, { precision: 'float32' });
  const [task] = tasksNamed([TASK]);
  const prompts = Array.from({ length: PROBLEMS }, (_, i) => {
    const { tokens, learnFrom } = exampleOf(task.problem(2, i, 'test'));
    return tokens.slice(0, learnFrom);
  });
  const greedy = { maxTokens: MAX_TOKENS, temperature: 0 };
  const ends = await collect(generate(loaded, prompts, greedy));
  const chains = prompts.map((_, i) => ends.find(({ prompt }) => prompt === i)?.tokens ?? []);
  const temporary = await mkdtemp(join(tmpdir(), 'selscan-'));
  try {
    const file = join(temporary, 'model.gguf');
    const weights = namedWeights(loaded.model);
    const weight = (name: string) => {
      const found = weights.get(name);
      if (!found) throw new Error(`weight: expected one of the model's, got ${name}`);
      return found;
    };
    await writeGguf(file, { config: loaded.config, weight });
    const cell = { model: folder, dtype: 'f32', threads: 1, batch: 1, context: 256 } as const;
    const llama = await openLlama(file, cell);
    let [same, tokens] = [0, 0];
    for (const [i, prompt] of prompts.entries()) {
      // after each of our tokens llama.cpp's likeliest one must be our next
      const [logits] = await llama.logits([prompt], [chains[i].slice(0, -1)]);
      const theirs = logits.map((row) => row.indexOf(Math.max(...row)));
      tokens += chains[i].length;
      if (theirs.join() === chains[i].join()) same++;
    }
    print(
      `${folder}: ${same} of ${PROBLEMS} greedy chains (${tokens} tokens) are llama.cpp's as well; ${llama.info}`,
    );
    if (same < PROBLEMS) process.exitCode = 1;
    await llama.close();
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}
