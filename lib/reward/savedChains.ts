/** Drawn chains on disk, for Node: one file that is there whole or not at all; a run goes on from the problems in it. */

import { ConfigError } from '../../reference/errors.ts';

const FILE = 'chains.jsonl';

/** The chains of each problem, as new tokens. */
export type ChainsOfProblems = readonly (readonly (readonly number[])[])[];

/** Saves chains: a line that says what they are of, then one of each problem. */
export async function saveChains(
  folder: string,
  origin: string,
  chains: ChainsOfProblems,
): Promise<void> {
  const { writeAtomically } = await import('../checkpoint/atomicFile.ts');
  const lines = [JSON.stringify({ origin }), ...chains.map((one) => JSON.stringify(one))];
  await writeAtomically(`${folder}/${FILE}`, new TextEncoder().encode(`${lines.join('\n')}\n`));
}

/**
 * Chains of a run that was interrupted; none where there is no file.
 * @throws ConfigError with code OtherRun where they are of another recipe or teacher, ChainsFile naming a line that is
 *   damaged.
 */
export async function resumeChains(folder: string, origin: string): Promise<ChainsOfProblems> {
  const { readFile } = await import('node:fs/promises');
  const path = `${folder}/${FILE}`;
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return [];
  const [head, ...lines] = text.trimEnd().split('\n');
  const found = (parse(head) ?? {}) as { origin?: unknown };
  if (found.origin !== origin) {
    throw new ConfigError(
      `${folder}: expected chains of this recipe and teacher, found those of others; take another folder, or delete it`,
      'OtherRun',
    );
  }
  return lines.map((line, i) => {
    const chains = parse(line);
    if (Array.isArray(chains) && chains.every(areTokens)) return chains;
    throw new ConfigError(
      `${path}, line ${i + 2}: expected chains of token ids, found none; delete the file, and they are drawn again`,
      'ChainsFile',
    );
  });
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

const areTokens = (chain: unknown): chain is number[] =>
  Array.isArray(chain) && chain.every((token) => Number.isInteger(token) && token >= 0);
