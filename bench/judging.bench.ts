/** `npx tsx bench/judging.bench.ts`: how long ledgers of ten thousand chains take to be read and judged. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { aggregate } from '../lib/reasoning/aggregate.ts';
import { readLedger } from '../lib/reasoning/readLedger.ts';
import { uniform } from '../reference/philox.ts';

const SHAPES = [
  [10_000, 1],
  [1250, 8],
  [100, 100],
  [20, 500],
  [10, 1000],
] as const;

/** Problems of all difficulties, wrong answers among 40, every reward different. */
function ledgerText(problems: number, samples: number): string {
  return Array.from({ length: problems * samples }, (_, i) => {
    const [problem, sample] = [Math.floor(i / samples), i % samples];
    const draw = (position: number, of = sample) =>
      uniform({ seed: 1, problem, sample: of, position, purpose: 'problems' });
    const isRight = draw(0) < draw(3, 0);
    const answer = isRight ? 0 : 1 + Math.floor(40 * draw(1));
    const text = `${'and so on; '.repeat(30)}the answer is ${answer}`;
    const reward = draw(2) * (isRight ? 1 : 0.8);
    return `${JSON.stringify({ problem, sample, text, gold: '0', reward, model: 'm' })}\n`;
  }).join('');
}

const folder = mkdtempSync(join(tmpdir(), 'selscan-'));
try {
  for (const [problems, samples] of SHAPES) {
    const file = join(folder, 'ledger.jsonl');
    writeFileSync(file, ledgerText(problems, samples));
    const [start, before] = [performance.now(), process.cpuUsage()];
    const { chains } = await readLedger(file);
    const read = performance.now() - start;
    aggregate(chains);
    const all = performance.now() - start;
    const { user, system } = process.cpuUsage(before);
    console.log(
      `${problems} problems, ${samples} chains each: ${all.toFixed(0)} ms (${read.toFixed(0)} to read), CPU ${((user + system) / 1000).toFixed(0)} ms`,
    );
  }
} finally {
  rmSync(folder, { recursive: true });
}
