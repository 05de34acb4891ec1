/** What a judge says of the chains of a run. Node only. */

import { join } from 'node:path';
import { ConfigError } from '../../reference/errors.ts';
import { writeAtomically } from '../checkpoint/atomicFile.ts';
import { readLedger } from '../reasoning/readLedger.ts';
import { RUN_FILES, readProblems } from '../reasoning/runFolder.ts';
import type { Judge } from './loadReward.ts';
import { type ScoreChainsOptions, scoreChains } from './scoreChains.ts';

export interface JudgeRunOptions extends ScoreChainsOptions {
  /** File that is written. Default: judged.jsonl in the run's folder, where reports look for it. */
  readonly out?: string;
}

export interface JudgedRun {
  readonly out: string;
  readonly chains: number;
  /** Of scoring them. */
  readonly seconds: number;
}

/**
 * Writes every line of a run's ledger again, with `reward` (the outcome) and `stepRewards`. The ledger stays as it is.
 * @throws ConfigError with code ChainsFile for a problem that is a conversation; as readLedger and scoreChains.
 */
export async function judgeRun(
  folder: string,
  judge: Judge,
  { out = join(folder, RUN_FILES.judged), ...scoring }: JudgeRunOptions = {},
): Promise<JudgedRun> {
  const problems = new Map((await readProblems(folder)).map(({ id, prompt }) => [id, prompt]));
  const { lines } = await readLedger(join(folder, RUN_FILES.ledger));
  const chains = lines.map(({ chain: { problem, text = '', finishReason = 'stop' }, place }) => {
    const prompt = problems.get(problem);
    if (typeof prompt === 'string' || Array.isArray(prompt)) return { prompt, text, finishReason };
    throw new ConfigError(
      `${place}: expected a problem whose prompt is a text, as reward models read it; judge takes no conversations`,
      'ChainsFile',
    );
  });
  const begin = performance.now();
  const scores = await scoreChains(judge, chains, scoring);
  const seconds = (performance.now() - begin) / 1e3;
  const judged = lines.map(({ fields }, i) =>
    JSON.stringify({ ...fields, reward: scores[i].outcome, stepRewards: scores[i].steps }),
  );
  await writeAtomically(out, new TextEncoder().encode(`${judged.join('\n')}\n`));
  return { out, chains: lines.length, seconds };
}
