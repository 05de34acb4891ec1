/** The decode loop's view of the reference: every row is a sequence of its own. */

import type { Executor, Row } from '../../backends/types.ts';
import { ConfigError } from '../../reference/errors.ts';
import { type Model, prefill, step } from '../../reference/model.ts';
import { cloneState, newState, type SequenceState } from '../../reference/state.ts';

/** Runs a model on the reference. Rows are computed one by one, so none can touch another. */
export function referenceExecutor(model: Model): Executor {
  const states = new WeakMap<Row, SequenceState>();
  const stateOf = (row: Row): SequenceState => {
    const state = states.get(row);
    if (!state)
      throw new ConfigError('row: expected a live row of this executor; was it released?');
    return state;
  };
  const adopt = (state: SequenceState): Row => {
    const row: Row = {
      get position() {
        return state.position;
      },
    };
    states.set(row, state);
    return row;
  };
  return {
    info: { backend: 'reference', precision: model.precision },
    prefill: async (tokens) => {
      const state = newState(model.config, model.precision);
      const { logits } = prefill({ model, state, tokens, logits: 'last' });
      return { row: adopt(state), logits: logits.data };
    },
    step: async (rows, tokens, trace) =>
      rows.map((row, i) => step(model, stateOf(row), tokens[i], trace)),
    fork: (row) => adopt(cloneState(stateOf(row))),
    release: (row) => {
      states.delete(row);
    },
  };
}
