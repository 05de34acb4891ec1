/** The decode loop's view of the reference: every row is a sequence of its own. */

import { checkStep, RowTable } from '../../backends/rows.ts';
import type { Executor } from '../../backends/types.ts';
import { type Model, prefill, step } from '../../reference/model.ts';
import { cloneState, newState, type SequenceState } from '../../reference/state.ts';

/** Runs a model on the reference. Rows are computed one by one, so none can touch another. */
export function referenceExecutor(model: Model): Executor {
  const { config, precision } = model;
  const states = new RowTable<SequenceState>((state) => state.position);
  return {
    info: { backend: 'reference', precision, arithmetic: 'ieee' },
    prefill: async (prompts) =>
      prompts.map((tokens) => {
        const state = newState(config, precision);
        const { logits } = prefill({ model, state, tokens, logits: 'last' });
        return { row: states.add(state), logits: logits.data };
      }),
    step: async (rows, tokens, trace) => {
      checkStep(rows, tokens);
      return rows.map((row, i) => step(model, states.get(row), tokens[i], trace));
    },
    fork: async (row) => states.add(cloneState(states.get(row))),
    save: async (row) => cloneState(states.get(row)),
    load: async (state) => states.add(cloneState(state)),
    release: (row) => states.delete(row),
    close: async () => {},
  };
}
