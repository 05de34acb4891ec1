/** Whole decoding of the bundled model: tokens per second for growing batches, all of generate included. */

import { generate, loadModel } from '../lib/index.ts';
import { type Column, type Report, timeColumns } from './report.ts';
import { race } from './timing.ts';

const COLUMNS: readonly Column[] = [
  ['precision', 'precision'],
  ['batch', 'batch'],
  ['ms', 'ms'],
  ['tokens/s', 'tokensPerSecond'],
];
const FOLDER = 'fixtures/models/tinystories-260k';
const MAX_TOKENS = 128;

/** Decodes 128 tokens of every chain on the reference. */
export async function benchDecode(report: Report, mostRounds: number): Promise<void> {
  const variants = [];
  for (const precision of ['float64', 'float32'] as const) {
    const model = await loadModel(FOLDER, { precision });
    for (const batch of [1, 8]) variants.push({ model, precision, batch, tokens: 0 });
  }
  const timings = await race(
    variants.map((variant) => async () => {
      const { model, batch } = variant;
      const events = generate(model, [''], { samples: batch, maxTokens: MAX_TOKENS, seed: 1 });
      variant.tokens = 0;
      for await (const event of events) if (event.kind === 'token') variant.tokens++;
    }),
    { seconds: 60, mostRounds },
  );
  const rows = variants.map(({ precision, batch, tokens }, i) => {
    const time = timeColumns(timings[i]);
    const tokensPerSecond = (1000 * tokens) / Number(time.ms);
    return { precision, batch, who: 'reference', ...time, tokensPerSecond };
  });
  report.table('decode', `TinyStories-260K, up to ${MAX_TOKENS} tokens a chain`, COLUMNS, rows);
}
