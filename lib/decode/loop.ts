/** The decode loop: many chains side by side, one token of each at a time; whoever ends makes room at once. */

import type { Drawn, Executor, Row } from '../../backends/types.ts';
import { SelscanError } from '../../reference/errors.ts';
import type { Trace } from '../../reference/trace.ts';
import type { LoadedModel } from '../loadModel.ts';
import { Admission, allChains, groupPrompts } from './admission.ts';
import { Spending } from './budget.ts';
import { Chain } from './chain.ts';
import { Drawer } from './distribution.ts';
import { drawToken, uniformOf } from './drawToken.ts';
import type { EndEvent, FinishReason, GenerateEvent } from './events.ts';
import { fitRows } from './fitRows.ts';
import type { DecodePlan } from './options.ts';

export interface LoopOptions {
  signal?: AbortSignal;
  trace?: Trace;
}

/**
 * Decodes all chains of some prompts. Each batch of events is what one step brought; it is never empty.
 *
 * A prompt is taken in once and forked when a chain of it is due. Chains that end leave, those that wait enter,
 * so that every step computes only chains that still go on. A chain whose logits are not finite ends alone.
 * All rows are released at the end, however it comes.
 */
export async function* decodeChains(
  loaded: LoadedModel,
  executor: Executor,
  encoded: readonly (readonly number[])[],
  plan: DecodePlan,
  options: LoopOptions = {},
): AsyncGenerator<GenerateEvent[], void, undefined> {
  const groups = groupPrompts(encoded);
  const { chains = allChains(groups, plan.samples) } = plan;
  const counts = new Map<number, number>();
  for (const { prompt } of plan.chains ?? []) counts.set(prompt, (counts.get(prompt) ?? 0) + 1);
  const countOf = (at: number) => (plan.chains ? (counts.get(at) ?? 0) : plan.samples);
  const sizes = groups.map(({ tokens, prompts }) => ({
    tokens,
    chains: prompts.reduce((sum, at) => sum + countOf(at), 0),
  }));
  const { rows, keepsParents, event } = fitRows(executor, loaded.config, sizes, plan);
  if (event) yield [event];
  const run = new Run(loaded, executor, plan, options);
  const waiting = new Admission(executor, groups, { ...plan, chains, keepsParents });
  const pause = pauser();
  try {
    for (;;) {
      // who ends with the first token makes room for the next before the step
      do {
        if (!run.isOver && !waiting.isEmpty && run.live.length < rows) {
          run.enter(await waiting.admit(rows - run.live.length, run.own));
        }
        const events = run.draw();
        if (events.length > 0) yield events;
      } while (!run.isOver && !waiting.isEmpty && run.live.length < rows);
      if (run.live.length === 0) return;
      if (run.isOver) continue; // the next draw ends them all, without a step
      await run.step();
      await pause();
    }
  } finally {
    run.release();
  }
}

/** The chains of one call that are being decoded, and every row that it holds. */
class Run {
  readonly live: Chain[] = [];
  readonly #loaded: LoadedModel;
  readonly #executor: Executor;
  readonly #plan: DecodePlan;
  readonly #options: LoopOptions;
  readonly #spending: Spending;
  readonly #drawer: Drawer;
  /** Whether tokens are drawn where the logits are. A trace wants to see the logits. */
  readonly #drawsOnDevice: boolean;
  readonly #rows = new Set<Row>();

  constructor(loaded: LoadedModel, executor: Executor, plan: DecodePlan, options: LoopOptions) {
    this.#loaded = loaded;
    this.#executor = executor;
    this.#plan = plan;
    this.#options = options;
    this.#spending = new Spending(plan.budget);
    this.#drawer = new Drawer(plan, loaded.config.vocabSize);
    this.#drawsOnDevice = plan.isPlain && !options.trace && executor.stepAndDraw !== undefined;
  }

  /** Makes a row one of this call's, to be released with it. */
  readonly own = (row: Row): void => {
    this.#rows.add(row);
  };

  /** Whether nothing more may be decoded. */
  get isOver(): boolean {
    return this.#stopped() !== undefined;
  }

  enter(origins: readonly ConstructorParameters<typeof Chain>[0][]): void {
    for (const origin of origins) this.live.push(new Chain(origin, this.#plan, this.#loaded));
  }

  /** Gives every chain that has none its next token; those that end with it leave. */
  draw(): GenerateEvent[] {
    const events: GenerateEvent[] = [];
    let kept = 0;
    for (const chain of this.live) {
      const end = this.#next(chain, events);
      if (!end) {
        this.live[kept++] = chain;
        continue;
      }
      this.#spending.addEnd(end.finishReason);
      this.#releaseRow(chain.row);
      events.push(end);
    }
    this.live.length = kept;
    return events;
  }

  /** Gives every row its newest token. */
  async step(): Promise<void> {
    const { live } = this;
    const rows = live.map((chain) => chain.row);
    const tokens = live.map((chain) => chain.newest);
    if (this.#drawsOnDevice && this.#executor.stepAndDraw) {
      const { isGreedy, temperature } = this.#plan;
      const draws = live.map((chain) => ({
        temperature,
        u: isGreedy ? 0 : uniformOf(chain, this.#plan),
      }));
      const drawn = await this.#executor.stepAndDraw(rows, tokens, draws);
      for (let i = 0; i < live.length; i++) live[i].drawn = drawn[i];
      return;
    }
    const trace = live.length === 1 ? this.#options.trace : undefined;
    const logits = await this.#executor.step(rows, tokens, trace);
    for (let i = 0; i < live.length; i++) live[i].logits = logits[i];
  }

  /** Releases every row that is left. */
  release(): void {
    for (const row of this.#rows) this.#executor.release(row);
    this.#rows.clear();
  }

  /** Draws a chain's next token. @returns its end, if it ends with it or instead of it. */
  #next(chain: Chain, events: GenerateEvent[]): EndEvent | undefined {
    const stopped = this.#stopped();
    if (stopped) return chain.end(stopped);
    if (!chain.logits && !chain.drawn) return undefined; // has its token
    let drawn: Drawn;
    try {
      drawn = chain.drawn ?? this.#drawHere(chain);
      if (drawn.token < 0) throw nonFinite(chain.position);
    } catch (error) {
      if (!(error instanceof SelscanError && error.code === 'NonFiniteLogits')) throw error;
      return chain.end('failed', { code: error.code, message: error.message });
    }
    const { event, reason } = chain.take(drawn, this.#plan, this.#loaded);
    events.push(event);
    this.#spending.addToken();
    return reason && chain.end(reason);
  }

  #drawHere(chain: Chain): Drawn {
    const { prompt, sample, position, seen } = chain;
    const { logits = new Float64Array(0) } = chain;
    const place = { prompt, sample, position, seen, logits };
    const { trace } = this.#options;
    if (trace) return drawToken(place, this.#plan, this.#loaded.config.vocabSize, trace);
    // the first tokens of all samples of a prompt are drawn from the same logits
    return this.#drawer.draw(place, chain.tokens.length === 0);
  }

  #stopped(): FinishReason | undefined {
    if (this.#options.signal?.aborted) return 'aborted';
    return this.#spending.isUsedUp() ? 'budget' : undefined;
  }

  #releaseRow(row: Row): void {
    this.#executor.release(row);
    this.#rows.delete(row);
  }
}

function nonFinite(position: number): SelscanError {
  return new SelscanError(
    'NonFiniteLogits',
    `logits: expected finite numbers at position ${position}; the weights or the state are broken`,
  );
}

/** Lets timers and signals run, but not more often than every 10 ms: a turn of the event loop costs 1 ms. */
function pauser(): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < 10) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
    last = performance.now();
  };
}
