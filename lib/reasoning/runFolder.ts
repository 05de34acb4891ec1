/**
 * The folder of a run, for Node:
 *
 *   run.json        what is sampled, and what is known of each model
 *   problems.jsonl  the problems
 *   ledger.jsonl    a line for every chain that has ended, in that order; only ever added to
 */

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError } from '../../reference/errors.ts';
import { writeAtomically } from '../checkpoint/atomicFile.ts';
import { keyOf, type LedgerChain, parseLine } from './chain.ts';
import { Journal } from './journal.ts';
import type { ModelFacts } from './modelFacts.ts';
import type { ReasoningProblem } from './problems.ts';
import type { Done } from './sampleChains.ts';
import type { ThroughputCurve } from './throughput.ts';

/** What decides every chain of a run: a run that goes on must have the same. */
export interface RunSettings {
  /** Where the problems are from, for people. */
  readonly problems: string;
  readonly seed: number;
  readonly maxTokens: number;
  /** Options that decide how tokens are drawn, as given. */
  readonly sampling: Readonly<Record<string, unknown>>;
  readonly budgetPer: 'run' | 'problem';
}

/** What is known of a model of a run. */
export interface RunModel extends ModelFacts {
  /** Tells its files from those of another. */
  readonly fingerprint: string;
  /** What computed. */
  readonly backend: string;
  /** Chains that were decoded at a time, at most. */
  readonly maxRows: number;
  readonly throughput?: ThroughputCurve;
}

/** The contents of run.json. */
export interface RunManifest {
  readonly format: typeof FORMAT;
  readonly settings: RunSettings;
  /** Hash of all prompts and right answers. */
  readonly problemsHash: string;
  readonly models: Readonly<Record<string, RunModel>>;
}

const FORMAT = 'selscan-run-1';
export const RUN_FILES = {
  manifest: 'run.json',
  problems: 'problems.jsonl',
  ledger: 'ledger.jsonl',
  /** The ledger's lines with what a reward model says of each. */
  judged: 'judged.jsonl',
} as const;

/** A run that is open for sampling. */
export interface OpenRun {
  readonly journal: Journal;
  /** What a model has done. */
  done(model: string): Done;
  /** Notes what is known of a model. */
  note(model: string, known: RunModel): Promise<void>;
  /** What is known of a model already. */
  known(model: string): RunModel | undefined;
  close(): Promise<void>;
}

/**
 * Opens the folder of a run, or makes it.
 * @throws ConfigError with code OtherRun where the folder's run samples something else, RunFile where run.json is none,
 *   Locked where another process samples into it; and as parseLine for a damaged ledger.
 */
export async function openRun(
  folder: string,
  settings: RunSettings,
  problems: readonly ReasoningProblem[],
): Promise<OpenRun> {
  const { journal, lines } = await Journal.open(join(folder, RUN_FILES.ledger));
  try {
    const problemsHash = hashOf(problems.map(({ id, prompt, gold }) => [id, prompt, gold ?? null]));
    const found = await readManifest(folder);
    if (found) expectSame(folder, found, settings, problemsHash);
    let manifest: RunManifest = {
      format: FORMAT,
      settings,
      problemsHash,
      models: found?.models ?? {},
    };
    const place = join(folder, RUN_FILES.ledger);
    const chains = lines.map((line, i) => parseLine(line, `${place}, line ${i + 1}`).chain);
    if (!found) {
      const asked = problems.map(({ id, question, prompt, gold }) =>
        JSON.stringify({ id, question, prompt, gold }),
      );
      await writeText(join(folder, RUN_FILES.problems), `${asked.join('\n')}\n`);
      await writeManifest(folder, manifest);
    }
    return {
      journal,
      done: (model) => doneBy(chains, model, problems),
      known: (model) => manifest.models[model],
      note: async (model, known) => {
        manifest = { ...manifest, models: { ...manifest.models, [model]: known } };
        await writeManifest(folder, manifest);
      },
      close: () => journal.close(),
    };
  } catch (error) {
    await journal.close();
    throw error;
  }
}

/**
 * Reads run.json; undefined where there is none.
 * @throws ConfigError with code RunFile where it is not a run's.
 */
export async function readManifest(folder: string): Promise<RunManifest | undefined> {
  const path = join(folder, RUN_FILES.manifest);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const fail = () =>
    new ConfigError(
      `${path}: expected the file of a run (${FORMAT}), got another; take another folder`,
      'RunFile',
    );
  let value: Partial<RunManifest> | null;
  try {
    value = JSON.parse(text) as Partial<RunManifest> | null;
  } catch {
    throw fail();
  }
  const { format, settings, problemsHash, models } = value ?? {};
  const isWhole = typeof settings === 'object' && typeof models === 'object' && models !== null;
  if (format !== FORMAT || !isWhole || typeof problemsHash !== 'string') throw fail();
  return value as RunManifest;
}

/** A problem as the folder of a run keeps it. */
export type AskedProblem = Pick<ReasoningProblem, 'id' | 'question' | 'prompt' | 'gold'>;

/** The problems of a run. @throws ConfigError with code RunFile for a line that is none. */
export async function readProblems(folder: string): Promise<AskedProblem[]> {
  const path = join(folder, RUN_FILES.problems);
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
  return lines.map((line, i) => {
    const problem = parsed(line);
    const { id, question, prompt } = problem;
    const isNamed = typeof id === 'string' || Number.isSafeInteger(id);
    if (isNamed && typeof question === 'string' && prompt !== undefined) return problem;
    throw new ConfigError(
      `${path}, line ${i + 1}: expected {"id", "question", "prompt"}, as selscan scale writes it`,
      'RunFile',
    );
  });
}

function parsed(line: string): AskedProblem {
  try {
    return Object(JSON.parse(line)) as AskedProblem;
  } catch {
    return {} as AskedProblem;
  }
}

function expectSame(
  folder: string,
  found: RunManifest,
  settings: RunSettings,
  problemsHash: string,
): void {
  const [old, wanted] = [found.settings, settings].map(flat);
  const names = new Set([...old.keys(), ...wanted.keys()]);
  const changed = [...names].filter((name) => old.get(name) !== wanted.get(name));
  if (changed.length === 0 && found.problemsHash === problemsHash) return;
  const what = changed.map((name) => `${name} ${old.get(name)} (asked for ${wanted.get(name)})`);
  throw new ConfigError(
    `${folder}: expected a run of the same problems and options, got one with ${what.join(', ') || 'other problems'}; ` +
      'take another --run, or give its own options',
    'OtherRun',
  );
}

/** Options by name, as text. */
function flat({ sampling, ...rest }: RunSettings): Map<string, string> {
  return new Map(
    Object.entries({ ...sampling, ...rest }).map(([name, value]) => [name, JSON.stringify(value)]),
  );
}

const writeText = (path: string, text: string) =>
  writeAtomically(path, new TextEncoder().encode(text));
const writeManifest = (folder: string, manifest: RunManifest) =>
  writeText(join(folder, RUN_FILES.manifest), `${JSON.stringify(manifest, null, 1)}\n`);

function hashOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}

/** What a model's lines in the ledger say is done. */
function doneBy(
  chains: readonly LedgerChain[],
  model: string,
  problems: readonly ReasoningProblem[],
): Done {
  const own = chains.filter((chain) => chain.model === model);
  const keys = new Set(own.map(keyOf));
  return {
    has: (problem, sample) => keys.has(keyOf({ model, problem: problems[problem].id, sample })),
    spent: (problem) => {
      const counted = own.filter(
        (chain) => problem === undefined || chain.problem === problems[problem].id,
      );
      return {
        seconds: counted.reduce((most, { seconds = 0 }) => Math.max(most, seconds), 0),
        tokens: counted.reduce((sum, { tokens = 0 }) => sum + tokens, 0),
        samples: counted.length,
      };
    },
  };
}
