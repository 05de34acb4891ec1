/** Ours, as the other side of a match. */

import { openBackend } from '../../backends/index.ts';
import type { Executor, Row } from '../../backends/types.ts';
import { referenceExecutor } from '../../lib/decode/referenceExecutor.ts';
import { createModel, weightShapes } from '../../reference/model.ts';
import { likeliest, nextTokens } from '../greedy.ts';
import { randomModel } from '../realModels.ts';
import { configOf, SEED } from './models.ts';
import type { Cell, Contestant } from './protocol.ts';

/**
 * Opens a model of random weights on a backend; `reference` for the oracle itself, where models are tiny.
 * @throws BackendError when that backend cannot run here.
 */
export async function openOurs(backend: string, cell: Cell): Promise<Contestant> {
  const { executor, close } = await openExecutor(backend, cell);
  let rows: Row[] = [];
  let tokens: number[] = [];
  const forget = () => {
    for (const row of rows) executor.release(row);
    rows = [];
  };
  const { threads = 1, weights = 'float32', mode } = executor.info;
  return {
    info: `${[backend, mode].filter(Boolean).join(' ')}, ${weights}, ${threads} threads`,
    logits: async (prompts, following) => {
      forget();
      const taken = await executor.prefill(prompts);
      rows = taken.map(({ row }) => row);
      const logits = taken.map((one) => [Float32Array.from(one.logits)]);
      for (let n = 0; n < following[0].length; n++) {
        const next = await executor.step(
          rows,
          following.map((row) => row[n]),
        );
        for (const [i, vector] of next.entries()) logits[i].push(Float32Array.from(vector));
      }
      forget();
      return logits;
    },
    start: async (prompts) => {
      forget();
      const taken = await executor.prefill(prompts);
      rows = taken.map(({ row }) => row);
      tokens = taken.map(({ logits }) => likeliest(logits));
    },
    decode: async (steps) => {
      for (let n = 0; n < steps; n++) tokens = await nextTokens(executor, rows, tokens);
      return tokens;
    },
    prefill: async (prompt) => {
      const [{ row, logits }] = await executor.prefill([prompt]);
      likeliest(logits);
      executor.release(row);
    },
    close,
  };
}

async function openExecutor(
  backend: string,
  cell: Cell,
): Promise<{ executor: Executor; close(): Promise<void> }> {
  const config = configOf(cell);
  const planned = randomModel(config, SEED);
  if (backend === 'reference') {
    const names = [...weightShapes(config).keys()];
    const weights = new Map(names.map((name) => [name, planned.weight(name)]));
    const executor = referenceExecutor(createModel(config, weights));
    return { executor, close: () => executor.close() };
  }
  const weights = cell.dtype === 'f32' ? 'float32' : 'int8';
  const device = await openBackend(backend, { threads: cell.threads, weights });
  const executor = await device.load(planned);
  const close = async () => {
    await executor.close();
    await device.close();
  };
  return { executor, close };
}
