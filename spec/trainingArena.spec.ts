import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Memory } from '../backends/wasm/memory.ts';
import { Arena } from '../backends/wasm/training/arena.ts';

const MB = 2 ** 20;

describe('memory of a step of training', () => {
  it('gives pieces that begin at a line and never overlap, until it is reset', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.integer({ min: 0, max: 40 * MB }), { maxLength: 20 }), {
          maxLength: 4,
        }),
        (steps) => {
          const arena = new Arena(new Memory(false));
          for (const sizes of steps) {
            const pieces = sizes.map((bytes) => ({ from: arena.allocate(bytes), bytes }));
            pieces.sort((a, b) => a.from - b.from || a.bytes - b.bytes);
            pieces.forEach(({ from, bytes }, i) => {
              expect(from % 64).toBe(0);
              const next = pieces[i + 1];
              if (next) expect(next.from).toBeGreaterThanOrEqual(from + bytes);
            });
            arena.reset();
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it('serves steps of ever other sizes from what the largest needed', () => {
    const memory = new Memory(false, 512 * MB);
    const arena = new Arena(memory);
    // kept by size, forty steps of 300 MB in pieces that no other step has would need 12 GB
    for (let step = 0; step < 40; step++) {
      for (let i = 0; i < 30; i++) arena.allocate(10 * MB - 64 * step);
      arena.reset();
    }
    expect(memory.used).toBeLessThan(400 * MB);
  });
});
