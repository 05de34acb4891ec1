/** Runs plans op by op on host arrays: on the reference, the oracle of every executor. */

import type { Columns, Plan } from '../../backends/plan.ts';
import { checkStep, checkTokens, RowTable } from '../../backends/rows.ts';
import type { BackendInfo, Executor, RunOp } from '../../backends/types.ts';
import type { Model } from '../../reference/model.ts';
import { cloneState, newState, type SequenceState } from '../../reference/state.ts';
import { type Tensor, type Vector, zeros } from '../../reference/tensor.ts';
import { runOnReference } from '../referenceOps.ts';
import { buildPlan } from './buildPlan.ts';
import { type PlainContext, runPlainStep, type Segment } from './plainSteps.ts';
import { weightNamed } from './weights.ts';

/** Tokens for one sequence. */
interface Intake {
  readonly state: SequenceState;
  readonly tokens: readonly number[];
}

/**
 * An executor of a model's plans, one op after another. On the reference's ops, the default, its logits are
 * the reference model's, bit for bit.
 */
export function plainExecutor(model: Model, run: RunOp = runOnReference): Executor {
  const { config, precision } = model;
  const plans = { prefill: buildPlan(config, 'prefill'), step: buildPlan(config, 'step') };
  const rows = new RowTable<SequenceState>((state) => state.position);
  const info: BackendInfo = { backend: 'plan', precision, arithmetic: 'ieee' };
  return {
    info,
    prefill: async (prompts) => {
      const intake = prompts.map((tokens) => ({ state: newState(config, precision), tokens }));
      const logits = await runPlan(plans.prefill, model, intake, run);
      return intake.map(({ state }, i) => ({ row: rows.add(state), logits: logits[i] }));
    },
    step: async (live, tokens) => {
      checkStep(live, tokens);
      const intake = live.map((row, i) => ({ state: rows.get(row), tokens: [tokens[i]] }));
      return runPlan(plans.step, model, intake, run);
    },
    fork: async (row) => rows.add(cloneState(rows.get(row))),
    save: async (row) => cloneState(rows.get(row)),
    load: async (state) => rows.add(cloneState(state)),
    release: (row) => rows.delete(row),
    close: async () => {},
  };
}

/** Takes tokens in and returns the logits after each sequence's last one. States are updated in place. */
async function runPlan(
  plan: Plan,
  model: Model,
  intake: readonly Intake[],
  run: RunOp,
): Promise<Vector[]> {
  for (const { state, tokens } of intake) checkTokens(model.config, tokens, state.position);
  const segments: Segment[] = [];
  let from = 0;
  for (const { state, tokens } of intake) {
    const { position, layers } = state;
    segments.push({ from, count: tokens.length, position, layers });
    from += tokens.length;
  }
  const buffers = new Map<string, Tensor>();
  const context: PlainContext = {
    run,
    precision: model.precision,
    tokens: intake.flatMap(({ tokens }) => tokens),
    segments,
    columns: (columns) => cut(buffers.get(columns.buffer) as Tensor, columns),
    weight: (name) => weightNamed(model, name),
  };
  for (const step of plan.steps) buffers.set(step.y.buffer, await runPlainStep(step, context));
  for (const { state, tokens } of intake) state.position += tokens.length;
  const { data, shape } = buffers.get('logits') as Tensor;
  return intake.map((_, i) => data.slice(i * shape[1], (i + 1) * shape[1]));
}

/** A copy of some columns, or the buffer itself where they are all of it. */
function cut(t: Tensor, { from, width }: Columns): Tensor {
  const [rows, columns] = t.shape;
  if (width === columns) return t;
  const data = zeros(rows * width, t.data);
  for (let r = 0; r < rows; r++) {
    const start = r * columns + from;
    data.set(t.data.subarray(start, start + width), r * width);
  }
  return { data, shape: [rows, width] };
}
