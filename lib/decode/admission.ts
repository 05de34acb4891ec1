/** Who comes next: chains in order, each distinct prompt taken in once and forked when a chain is due. */

import type { Executor, Row } from '../../backends/types.ts';
import type { Vector } from '../../reference/tensor.ts';
import type { ChainOrigin } from './chain.ts';

/** One prompt and its chains, of all indices at which it was given. */
export interface Group {
  readonly tokens: readonly number[];
  /** Indices of the prompt among those that were given. */
  readonly prompts: number[];
}

/** Equal prompts together, in the order in which they first appear. */
export function groupPrompts(encoded: readonly (readonly number[])[]): Group[] {
  const groups = new Map<string, Group>();
  for (const [i, tokens] of encoded.entries()) {
    const key = tokens.join();
    const group = groups.get(key);
    if (group) group.prompts.push(i);
    else groups.set(key, { tokens, prompts: [i] });
  }
  return [...groups.values()];
}

/** Tokens that are taken in by one call, at most, unless one prompt alone has more. */
const PACK = 2048;

/** One chain among those of a run: the index of its prompt among those that were given, and of its sample. */
export interface ChainPlace {
  readonly prompt: number;
  readonly sample: number;
}

export interface AdmissionOptions {
  /** The chains, in the order in which they begin. */
  chains: Iterable<ChainPlace>;
  firstPrompt: number;
  firstSample: number;
  /** Whether a prompt's row is kept for its later chains; else every chain takes its prompt in afresh. */
  keepsParents: boolean;
}

/** A chain that is due. */
interface Due {
  group: Group;
  prompt: number;
  sample: number;
  /** Whether it is the first, and the last, of chains in a row that have this prompt. */
  isFirst: boolean;
  isLast: boolean;
}

interface Parent {
  group: Group;
  row: Row;
  logits: Vector;
}

/** The chains that have not begun, and the row of the prompt that is being forked. */
export class Admission {
  readonly #executor: Executor;
  readonly #options: AdmissionOptions;
  readonly #due: Iterator<Due, void, undefined>;
  /** Looked at, but not begun. */
  #next?: Due;
  #parent?: Parent;

  constructor(executor: Executor, groups: readonly Group[], options: AdmissionOptions) {
    this.#executor = executor;
    this.#options = options;
    this.#due = inTurn(options.chains, groups);
    this.#advance();
  }

  get isEmpty(): boolean {
    return this.#next === undefined;
  }

  /**
   * Begins up to `count` chains, ≥ 1, and at least one while there are any. Their prompts are taken in by one
   * call. Rows belong to the caller as soon as they are given to `own`.
   */
  async admit(count: number, own: (row: Row) => void): Promise<ChainOrigin[]> {
    const taken = this.#choose(count);
    const fresh = taken.filter((due) => this.#isFresh(due));
    const parents = new Map<Due, Parent>();
    if (fresh.length > 0) {
      const said = await this.#executor.prefill(fresh.map(({ group }) => group.tokens));
      for (const [i, { row, logits }] of said.entries()) {
        own(row);
        parents.set(fresh[i], { group: fresh[i].group, row, logits });
      }
    }
    const begun: ChainOrigin[] = [];
    const { firstPrompt, firstSample, keepsParents } = this.#options;
    for (const due of taken) {
      const parent = parents.get(due) ?? (this.#parent as Parent);
      const isOnly = due.isLast || !keepsParents;
      this.#parent = isOnly ? undefined : parent;
      const row = isOnly ? parent.row : await this.#executor.fork(parent.row);
      if (row !== parent.row) own(row);
      begun.push({
        prompt: firstPrompt + due.prompt,
        sample: firstSample + due.sample,
        promptTokens: due.group.tokens,
        row,
        logits: parent.logits,
      });
    }
    return begun;
  }

  /** The chains that begin now. */
  #choose(count: number): Due[] {
    const taken: Due[] = [];
    let packed = 0;
    for (let due = this.#next; due && taken.length < count; due = this.#next) {
      if (this.#isFresh(due)) {
        packed += due.group.tokens.length;
        if (packed > PACK && packed > due.group.tokens.length) break;
      }
      taken.push(due);
      this.#advance();
    }
    return taken;
  }

  /** Whether a chain's prompt has to be taken in: no row of it is there. */
  #isFresh({ isFirst }: Due): boolean {
    return isFirst || !this.#options.keepsParents;
  }

  #advance(): void {
    this.#next = this.#due.next().value ?? undefined;
  }
}

/** All samples of each prompt, those of equal prompts together. */
export function* allChains(
  groups: readonly Group[],
  samples: number,
): Generator<ChainPlace, void, undefined> {
  for (const { prompts } of groups) {
    for (const prompt of prompts) {
      for (let sample = 0; sample < samples; sample++) yield { prompt, sample };
    }
  }
}

/** Chains with where their prompt begins and ends being needed: chains of one prompt in a row share it. */
function* inTurn(
  places: Iterable<ChainPlace>,
  groups: readonly Group[],
): Generator<Due, void, undefined> {
  const groupOf = new Map(groups.flatMap((group) => group.prompts.map((at) => [at, group])));
  let before: Group | undefined;
  let held: Due | undefined;
  for (const { prompt, sample } of places) {
    const group = groupOf.get(prompt) as Group;
    if (held) yield { ...held, isLast: held.group !== group };
    held = { group, prompt, sample, isFirst: group !== before, isLast: true };
    before = group;
  }
  if (held) yield held;
}
