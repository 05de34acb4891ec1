/** What the authors of the golden models decoded. */

import { join } from 'node:path';
import type { Executor } from '../backends/types.ts';
import { openRegular } from '../lib/checkpoint/nodeFiles.ts';
import { TensorFile } from '../lib/checkpoint/tensorFile.ts';

/** The prompts of a golden model and the tokens that its own implementation decoded greedily. */
export async function goldenGreedy(
  folder: string,
): Promise<{ prompts: number[][]; greedy: number[][] }> {
  const file = await TensorFile.open(await openRegular(join(folder, 'golden.safetensors')));
  try {
    const rows = async (tensor: string) => {
      const { data, shape } = await file.integers(tensor);
      const all = Array.from(data as number[], Number);
      return Array.from({ length: shape[0] }, (_, b) =>
        all.slice(b * shape[1], (b + 1) * shape[1]),
      );
    };
    return { prompts: await rows('in.input_ids'), greedy: await rows('out.greedy_ids') };
  } finally {
    await file.close();
  }
}

/** The likeliest tokens after each prompt, rows of padding among them, as the authors' implementations choose. */
export async function decodedGreedily(
  executor: Executor,
  prompts: readonly (readonly number[])[],
  count: number,
): Promise<number[][]> {
  const taken = await executor.prefill(prompts);
  const rows = taken.map(({ row }) => row);
  let likeliest = taken.map(({ logits }) => logits.indexOf(Math.max(...logits)));
  const decoded = likeliest.map((token) => [token]);
  while (decoded[0].length < count) {
    const logits = await executor.step(rows, likeliest);
    likeliest = logits.map((row) => row.indexOf(Math.max(...row)));
    likeliest.forEach((token, i) => {
      decoded[i].push(token);
    });
  }
  return decoded;
}
