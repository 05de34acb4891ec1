/** Recipes: everything that makes a run, in one JSON object of a few lines. */

import { ConfigError } from '../../reference/errors.ts';
import type { Variant } from '../distil/initFromAttention.ts';
import type { StageName } from '../distil/stages.ts';
import type { StudentKind } from '../distil/studentConfig.ts';
import type { OptimiserOptions } from './optimiser.ts';
import type { Schedule } from './schedule.ts';
import { type TaskName, tasksNamed } from './taskData.ts';

/** What teachers and students have in common. */
interface Recipe {
  readonly seed: number;
  readonly batch: number;
  readonly seqlen: number;
}

export type TrainRecipe = Recipe &
  Schedule &
  OptimiserOptions & {
    /** What is learned, or `data`: a file of texts, and `tokenizer`: a folder whose tokenizer.json reads them. */
    readonly tasks?: readonly TaskName[];
    /** Of what unseen problems are solved at the end. Default `tasks`. */
    readonly judged?: readonly TaskName[];
    readonly data?: string;
    readonly tokenizer?: string;
    readonly steps: number;
    /** What is made and trained, or `from`: the folder of a model that is trained further. */
    readonly model?: {
      readonly dModel: number;
      readonly layers: number;
      readonly nHeads: number;
      readonly nKvHeads?: number;
      readonly dHidden?: number;
    };
    readonly from?: string;
  };

export interface StageRecipe extends Schedule, OptimiserOptions {
  readonly stage: StageName;
  readonly steps: number;
  /** Layers that are attention still, each stage's among those of the one before. Default: the recipe's. */
  readonly keptAttention?: readonly number[];
}

export type DistilRecipe = Recipe & {
  /** What the teacher had learned, or `data`: a file of texts or tokens that it may read. */
  readonly tasks?: readonly TaskName[];
  /** Of what unseen problems are solved at the end. Default `tasks`. */
  readonly judged?: readonly TaskName[];
  readonly data?: string;
  readonly kind: StudentKind;
  readonly keptAttention?: readonly number[];
  readonly variant?: Variant;
  readonly stages: readonly StageRecipe[];
};

/** How a verifier is made: chains that the teacher draws, right and wrong ones, to learn to tell apart. */
export type RewardRecipe = Recipe &
  Schedule &
  OptimiserOptions & {
    readonly tasks: readonly TaskName[];
    readonly steps: number;
    /** Problems of the training split, and chains of each. */
    readonly problems: number;
    readonly samples: number;
    /** At which they are drawn. Default 1. */
    readonly temperature?: number;
    /** Folder of the model whose layers learn to judge. Default: the teacher that draws. */
    readonly from?: string;
  };

const COMMON = ['seed', 'batch', 'seqlen'];
const SCHEDULE = ['learningRate', 'warmUp', 'shape', 'decay', 'least'];
const OPTIMISER = ['betas', 'eps', 'weightDecay', 'clip'];
const MODEL = ['dModel', 'layers', 'nHeads', 'nKvHeads', 'dHidden'];

/** A recipe for `selscan train`. @throws ConfigError with code Recipe naming what is wrong. */
export async function readTrainRecipe(path: string): Promise<TrainRecipe> {
  const recipe = await readObject(path);
  const needed = [...COMMON, 'steps', 'learningRate'];
  const source = ['tasks', 'judged', 'data', 'tokenizer', 'model', 'from'];
  const optional = [...source, ...SCHEDULE, ...OPTIMISER];
  expectKeys(path, recipe, needed, optional);
  expectCommon(path, recipe);
  expectSource(path, recipe);
  const { data, tokenizer } = recipe;
  if ((data === undefined) !== (tokenizer === undefined)) {
    throw wrong(path, 'expected data and tokenizer together, found only one of them');
  }
  if (tokenizer !== undefined && typeof tokenizer !== 'string') {
    throw wrong(path, 'tokenizer: expected the path of a folder with a tokenizer.json');
  }
  const { model, from } = recipe;
  if ((model === undefined) === (from === undefined)) {
    throw wrong(path, 'expected either model, the sizes of a new one, or from, the folder of one');
  }
  expectFolder(path, from);
  if (from === undefined) {
    const sizes = expectObject(path, 'model', model);
    expectKeys(`${path}: model`, sizes, ['dModel', 'layers', 'nHeads'], MODEL);
  }
  return recipe as unknown as TrainRecipe;
}

/** A recipe for `selscan distil`. @throws ConfigError with code Recipe naming what is wrong. */
export async function readDistilRecipe(path: string): Promise<DistilRecipe> {
  const recipe = await readObject(path);
  const optional = ['tasks', 'judged', 'data', 'keptAttention', 'variant'];
  expectKeys(path, recipe, [...COMMON, 'kind', 'stages'], optional);
  expectCommon(path, recipe);
  expectSource(path, recipe);
  if (!Array.isArray(recipe.stages) || recipe.stages.length === 0) {
    throw wrong(path, 'stages: expected a list of at least one stage');
  }
  recipe.stages.forEach((stage, i) => {
    const own = expectObject(path, `stages[${i}]`, stage);
    const place = `${path}: stages[${i}]`;
    const optional = ['keptAttention', ...SCHEDULE, ...OPTIMISER];
    expectKeys(place, own, ['stage', 'steps', 'learningRate'], optional);
    expectLayers(place, own.keptAttention);
  });
  expectLayers(path, recipe.keptAttention);
  return recipe as unknown as DistilRecipe;
}

/** A recipe for `selscan reward`. @throws ConfigError with code Recipe naming what is wrong. */
export async function readRewardRecipe(path: string): Promise<RewardRecipe> {
  const recipe = await readObject(path);
  const needed = [...COMMON, 'tasks', 'problems', 'samples', 'steps', 'learningRate'];
  expectKeys(path, recipe, needed, ['temperature', 'from', ...SCHEDULE, ...OPTIMISER]);
  const { problems, samples, temperature = 1, from } = recipe;
  expectCommon(path, recipe, { problems, samples });
  expectTasks(path, recipe.tasks);
  if (!(typeof temperature === 'number' && temperature > 0 && Number.isFinite(temperature))) {
    throw wrong(path, `temperature: expected a number above 0, got ${JSON.stringify(temperature)}`);
  }
  expectFolder(path, from);
  return recipe as unknown as RewardRecipe;
}

async function readObject(path: string): Promise<Record<string, unknown>> {
  const { readFile } = await import('node:fs/promises');
  const text = await readFile(path, 'utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw wrong(path, `expected JSON, ${error instanceof Error ? error.message : error}`);
  }
  return expectObject(path, 'recipe', value);
}

function expectObject(path: string, name: string, value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw wrong(path, `${name}: expected an object { … }, got ${JSON.stringify(value)}`);
}

function expectKeys(
  place: string,
  object: Record<string, unknown>,
  needed: readonly string[],
  optional: readonly string[],
): void {
  const known = [...needed, ...optional];
  const unknown = Object.keys(object).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    throw wrong(place, `expected ${[...new Set(known)].join(', ')}, got ${unknown}`);
  }
  const missing = needed.find((key) => !(key in object));
  if (missing !== undefined) throw wrong(place, `expected ${missing}, found none`);
}

function expectCommon(
  path: string,
  recipe: Record<string, unknown>,
  more: Record<string, unknown> = {},
): void {
  const { seed, batch, seqlen } = recipe;
  for (const [name, value] of Object.entries({ batch, seqlen, ...more })) {
    if (!Number.isInteger(value) || (value as number) < 1) {
      throw wrong(path, `${name}: expected a whole number ≥ 1, got ${JSON.stringify(value)}`);
    }
  }
  if (!Number.isSafeInteger(seed) || (seed as number) < 0) {
    throw wrong(path, `seed: expected a whole number ≥ 0, got ${JSON.stringify(seed)}`);
  }
}

function expectFolder(path: string, from: unknown): void {
  if (from === undefined || typeof from === 'string') return;
  throw wrong(path, 'from: expected the path of a model folder');
}

function expectLayers(place: string, layers: unknown): void {
  if (layers === undefined) return;
  if (Array.isArray(layers) && layers.every(Number.isInteger)) return;
  throw wrong(place, `keptAttention: expected a list of layers, got ${JSON.stringify(layers)}`);
}

/** Tasks, or a file. */
function expectSource(path: string, { tasks, judged, data }: Record<string, unknown>): void {
  if ((tasks === undefined) === (data === undefined)) {
    throw wrong(path, 'expected either tasks or data, a file of texts or tokens');
  }
  if (judged !== undefined) {
    if (data !== undefined) throw wrong(path, 'judged: expected tasks to judge by, found data');
    expectTasks(path, judged, 'judged');
    tasksNamed(judged);
  }
  if (data === undefined) expectTasks(path, tasks);
  else if (typeof data !== 'string') throw wrong(path, 'data: expected the path of a file');
}

function expectTasks(
  path: string,
  tasks: unknown,
  key = 'tasks',
): asserts tasks is readonly string[] {
  if (Array.isArray(tasks) && tasks.every((task) => typeof task === 'string')) return;
  throw wrong(path, `${key}: expected a list of names, got ${JSON.stringify(tasks)}`);
}

const wrong = (place: string, problem: string) => new ConfigError(`${place}: ${problem}`, 'Recipe');
