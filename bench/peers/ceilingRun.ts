/** The machine's ceilings with one and more threads: as many processes at once. */

import { parametersOf } from '../realModels.ts';
import { configOf } from './models.ts';
import type { PeerOptions } from './options.ts';
import { ContestantProcess, type ProcessOptions } from './process.ts';
import type { Ceiling } from './protocol.ts';

export interface ThreadCeiling {
  readonly threads: number;
  /** Bytes a second. */
  readonly read: number;
  /** Operations a second; a multiplication and an addition are two. */
  readonly multiplyThenAdd: number;
  /** Absent where our Node has no relaxed SIMD. */
  readonly fusedMultiplyAdd?: number;
}

export interface Ceilings {
  /** Version of the Node that ours runs on. */
  readonly node: string;
  readonly byThreads: readonly ThreadCeiling[];
  /** Parameters of each model. */
  readonly sizes: Readonly<Record<string, number>>;
}

/** Of every measurement: the best of many short loops. */
const SECONDS = 0.7;

export async function measureCeilings(options: PeerOptions): Promise<Ceilings> {
  const { models, layers } = options;
  const sizes = Object.fromEntries(
    models.map((model) => [model, parametersOf(configOf({ model, layers }))]),
  );
  return { ...(await measureRates(options.threads, options)), sizes };
}

/** Without what is only about models. */
export async function measureRates(
  threadCounts: readonly number[],
  options?: ProcessOptions,
): Promise<Omit<Ceilings, 'sizes'>> {
  const most = Math.max(...threadCounts);
  const processes = Array.from({ length: most }, () => new ContestantProcess(options));
  try {
    const { node } = await processes[0].ask({ ask: 'version' });
    const byThreads: ThreadCeiling[] = [];
    for (const threads of threadCounts) {
      const measure = async (what: Ceiling) => {
        const some = processes.slice(0, threads);
        const request = { ask: 'ceiling', what, seconds: SECONDS } as const;
        const rates = await Promise.all(some.map((process) => process.ask(request)));
        return rates.reduce<number>((sum, rate) => sum + (rate ?? Number.NaN), 0);
      };
      const [read, multiplyThenAdd] = [await measure('read'), await measure('multiplyThenAdd')];
      const fused = await measure('fusedMultiplyAdd');
      byThreads.push({
        ...{ threads, read, multiplyThenAdd },
        ...(Number.isFinite(fused) && { fusedMultiplyAdd: fused }),
      });
    }
    return { node, byThreads };
  } finally {
    for (const process of processes) await process.end();
  }
}
