/** What reports are made of, from folders of runs and from ledgers. Node only. */

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError } from '../../reference/errors.ts';
import { keyOf, type LedgerChain } from '../reasoning/chain.ts';
import { readLedger } from '../reasoning/readLedger.ts';
import {
  RUN_FILES,
  type RunManifest,
  type RunModel,
  readManifest,
  readProblems,
} from '../reasoning/runFolder.ts';

export interface Gathered {
  readonly chains: readonly LedgerChain[];
  /** Models in the order in which the runs name them. */
  readonly models: ReadonlyMap<string, RunModel>;
  readonly manifests: readonly RunManifest[];
  /** Questions by problem, where a run has them. */
  readonly questions: ReadonlyMap<string | number, string>;
  /** Last lines that were cut off while they were written. */
  readonly torn: number;
}

/**
 * Reads runs, which must be of the same problems, and ledgers. Of a run that is still going on, what is there so far.
 * @throws ConfigError with code OtherRun for runs of different problems, NoLedger for a folder without a ledger; as readLedger.
 */
export async function gather(paths: readonly string[]): Promise<Gathered> {
  const ledgers: string[] = [];
  const manifests: RunManifest[] = [];
  const models = new Map<string, RunModel>();
  const questions = new Map<string | number, string>();
  for (const path of paths) {
    if (!(await stat(path)).isDirectory()) {
      ledgers.push(path);
      continue;
    }
    const manifest = await readManifest(path);
    if (!manifest) {
      throw new ConfigError(
        `${path}: expected the folder of a run, with ${RUN_FILES.manifest}, or a ledger; make one with selscan scale`,
        'NoLedger',
      );
    }
    if (manifests.some(({ problemsHash }) => problemsHash !== manifest.problemsHash)) {
      throw new ConfigError(
        `${path}: expected a run of the same problems as ${paths[0]}, got one of others; report them apart`,
        'OtherRun',
      );
    }
    manifests.push(manifest);
    for (const [name, known] of Object.entries(manifest.models)) models.set(name, known);
    for (const { id, question } of await readProblems(path)) questions.set(id, question);
    ledgers.push(join(path, RUN_FILES.ledger));
  }
  const { chains, torn } = await readLedger(ledgers);
  return { chains: await withRewards(chains, paths), models, manifests, questions, torn };
}

/** Chains with what `judge --run` has written of them, where they have no rewards of their own. */
async function withRewards(
  chains: readonly LedgerChain[],
  paths: readonly string[],
): Promise<readonly LedgerChain[]> {
  const isThere = (path: string) =>
    stat(path).then(
      () => true,
      () => false,
    );
  const files = paths.map((path) => join(path, RUN_FILES.judged));
  const judged: string[] = [];
  for (const file of files) if (await isThere(file)) judged.push(file);
  if (judged.length === 0) return chains;
  const rewards = new Map(
    (await readLedger(judged)).chains.map((chain) => {
      const { reward, stepRewards } = chain;
      return [keyOf(chain), { reward, ...(stepRewards && { stepRewards }) }];
    }),
  );
  return chains.map((chain) => ({ ...rewards.get(keyOf(chain)), ...chain }));
}

/** Chains cut down to the same problems for all models: those of which each has at least one. */
export function sharedProblems(chains: readonly LedgerChain[]): LedgerChain[] {
  const modelsOf = new Map<string, Set<string | undefined>>();
  const names = new Set(chains.map(({ model }) => model));
  const key = ({ problem }: LedgerChain) => keyOf({ problem, sample: 0 });
  for (const chain of chains) {
    const own = modelsOf.get(key(chain)) ?? new Set();
    modelsOf.set(key(chain), own.add(chain.model));
  }
  return chains.filter((chain) => modelsOf.get(key(chain))?.size === names.size);
}
