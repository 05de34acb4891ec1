/** Memory of the WASM backend: it stays as much, says how much it holds, and its end harms no row. */

import { afterAll, describe, expect, it } from 'vitest';
import { wasmExecutor } from '../backends/wasm/executor.ts';
import { Kernels } from '../backends/wasm/kernels.ts';
import { referenceExecutor } from '../lib/decode/referenceExecutor.ts';
import { buildPlan } from '../lib/plan/index.ts';
import { weightNamed } from '../lib/plan/weights.ts';
import type { Model } from '../reference/model.ts';
import { HYBRID, modelWith, tokensFrom } from './wasmModels.ts';

const closing: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closing) await close();
});

/** An executor on kernels whose memory can be looked at. */
async function openOn(memoryLimit: number, model: Model) {
  const kernels = await Kernels.start({ threads: 1, memoryLimit });
  closing.push(() => kernels.close());
  const info = { backend: 'wasm', precision: 'float32', arithmetic: 'ieee' } as const;
  const planned = {
    config: model.config,
    prefill: buildPlan(model.config, 'prefill'),
    step: buildPlan(model.config, 'step'),
    weight: (name: string) => weightNamed(model, name),
  };
  return { kernels, executor: wasmExecutor(kernels, () => info, planned) };
}

describe('memory', () => {
  it('is as much after 10,000 sequences as after 100', async () => {
    const { kernels, executor } = await openOn(64e6, modelWith(HYBRID));
    const decode = async (sequences: number) => {
      for (let i = 0; i < sequences; i += 2) {
        const [{ row }] = await executor.prefill([tokensFrom(i, 1 + (i % 40))]);
        const child = await executor.fork(row);
        await executor.step([row, child], [1, 2]);
        executor.release(row);
        await executor.step([child], [3]);
        executor.release(child);
      }
      return { used: kernels.memory.used, bytes: kernels.memory.wasm.buffer.byteLength };
    };
    const before = await decode(100);
    expect(await decode(10_000)).toEqual(before);
  });

  it('holds as many rows as it says, and one too many harms none', async () => {
    const { executor } = await openOn(8e6, modelWith(HYBRID));
    const prompt = tokensFrom(1, 20);
    const [{ row, logits }] = await executor.prefill([prompt]);
    const room = executor.room?.(60, 20) ?? 0;
    expect(room).toBeGreaterThan(20);
    const rows = [row];
    const fill = async () => {
      for (;;) {
        const child = await executor.fork(row);
        rows.push(child);
        for (let t = 0; t < 40; t++) await executor.step([child], [t]);
      }
    };
    await expect(fill()).rejects.toMatchObject({ code: 'OutOfMemory' });
    expect(rows.length - 1).toBeGreaterThanOrEqual(room);
    expect(rows.length - 1).toBeLessThanOrEqual(room * 1.1 + 1);
    for (const child of rows.slice(1)) executor.release(child);
    const [again] = await executor.prefill([prompt]);
    expect(Array.from(again.logits)).toEqual(Array.from(logits));
    const oracle = referenceExecutor(modelWith(HYBRID));
    const [want] = await oracle.prefill([prompt]);
    const [mine] = await executor.step([row], [5]);
    const [theirs] = await oracle.step([want.row], [5]);
    mine.forEach((x, i) => {
      expect(Math.abs(x - theirs[i])).toBeLessThan(1e-4);
    });
  });
});

it.each(['step', 'stepAndDraw'] as const)(
  'a %s of more rows than a call takes changes none of them where memory ends',
  async (how) => {
    const { executor } = await openOn(8e6, modelWith(HYBRID));
    const [{ row }] = await executor.prefill([tokensFrom(1, 16)]); // a full page: each needs another one next
    const rows = [row];
    const others = await executor.prefill(Array.from({ length: 150 }, () => [1]));
    const fill = async () => {
      for (;;) rows.push(await executor.fork(row));
    };
    await expect(fill()).rejects.toMatchObject({ code: 'OutOfMemory' });
    // pages for the first call, not for the second
    for (const other of others) executor.release(other.row);
    expect(rows.length).toBeGreaterThan(2 * 128);
    const tokens = rows.map(() => 1);
    const draws = rows.map(() => ({ temperature: 0, u: 0 }));
    await expect(executor[how]?.(rows, tokens, draws as never)).rejects.toMatchObject({
      code: 'OutOfMemory',
    });
    expect(rows.filter(({ position }) => position !== 16)).toEqual([]);
  },
);
