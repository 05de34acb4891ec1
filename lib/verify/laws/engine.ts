/** The laws of the engine, for every executor that is to run it. */

import { CHAIN_LAWS } from './chains.ts';
import type { EngineLaw } from './engineLaw.ts';
import { ROW_LAWS, SEQUENCE_LAWS } from './liveRows.ts';

export type { EngineLaw, EngineSubject } from './engineLaw.ts';

/** All of them. They hold to the bit: whoever sums in another order when the batch changes breaks them. */
export const ENGINE_LAWS: readonly EngineLaw[] = [...CHAIN_LAWS, ...ROW_LAWS, ...SEQUENCE_LAWS];
