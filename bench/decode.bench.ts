/** Whole decoding of the bundled model: tokens per second for growing batches, interleaved. */

import { generate, loadModel } from '../lib/index.ts';

export interface DecodeResult {
  batch: number;
  precision: string;
  /** Median and extremes over the rounds. */
  tokensPerSecond: { median: number; min: number; max: number };
}

/** Decodes 128 tokens of every chain; all variants in turn, `rounds` times. */
export async function benchDecode(rounds = 5): Promise<DecodeResult[]> {
  const folder = 'fixtures/models/tinystories-260k';
  const variants = [];
  for (const precision of ['float64', 'float32'] as const) {
    const model = await loadModel(folder, { precision });
    for (const batch of [1, 8]) variants.push({ model, precision, batch, rates: [] as number[] });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { model, batch, rates } of variants) {
      const start = performance.now();
      let tokens = 0;
      for await (const event of generate(model, [''], {
        samples: batch,
        maxTokens: 128,
        seed: 1,
      })) {
        if (event.kind === 'token') tokens++;
      }
      rates.push((1000 * tokens) / (performance.now() - start));
    }
  }
  return variants.map(({ batch, precision, rates }) => {
    const sorted = [...rates].sort((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)];
    return {
      batch,
      precision,
      tokensPerSecond: { median, min: sorted[0], max: sorted[sorted.length - 1] },
    };
  });
}
