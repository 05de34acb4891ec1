/** What a plan costs: multiply-adds and bytes, of every step, counted from the plan alone. */

import type { Columns, Plan, PlanStep, StateSlot } from '../../backends/plan.ts';
import { weightShapes } from '../../reference/model.ts';
import { sizeOf } from '../../reference/tensor.ts';

/** How much work there is at once. */
export interface Load {
  /** Sequences. */
  readonly rows: number;
  /** New tokens of each. */
  readonly tokens: number;
  /** Tokens that each has taken in before. */
  readonly position: number;
}

/** Costs of one step of the plan for all rows and tokens of a load. */
export interface StepCost {
  /**
   * Multiply-adds. Exponentials, roots and divisions count as one each, so that norms, gates and softmax
   * are not free.
   */
  readonly macs: number;
  /** Weights read, once whatever the number of tokens. */
  readonly weightBytes: number;
  /** State read and written, keys and values included. */
  readonly stateReadBytes: number;
  readonly stateWriteBytes: number;
  /** Buffers read and written. */
  readonly readBytes: number;
  readonly writeBytes: number;
}

export interface CostEntry extends StepCost {
  readonly step: PlanStep;
}

/** What a number takes: float32 throughout. */
const BYTES = 4;

/** The cost of every step, in the plan's order. */
export function costOf(plan: Plan, load: Load): CostEntry[] {
  const shapes = weightShapes(plan.config);
  const slots = new Map(plan.state.map((slot) => [slot.name, slot]));
  let rowsNow = load.rows * load.tokens;
  return plan.steps.map((step): CostEntry => {
    if (step.op === 'lastTokens') rowsNow = load.rows;
    const reads = Object.values(step.inputs as Record<string, Columns | undefined>);
    const readWidth = reads.reduce((sum, columns) => sum + (columns?.width ?? 0), 0);
    const { read, written } = stateTraffic(step, slots, load);
    return {
      step,
      macs: rowsNow * macsPerToken(step, load),
      weightBytes: BYTES * weightNumbers(step, shapes, rowsNow),
      stateReadBytes: BYTES * load.rows * read,
      stateWriteBytes: BYTES * load.rows * written,
      readBytes: BYTES * rowsNow * readWidth,
      writeBytes: BYTES * rowsNow * step.y.width,
    };
  });
}

/** Sums of costs. */
export function totalCost(costs: readonly StepCost[]): StepCost {
  const sum = (key: keyof StepCost) => costs.reduce((total, cost) => total + cost[key], 0);
  return {
    macs: sum('macs'),
    weightBytes: sum('weightBytes'),
    stateReadBytes: sum('stateReadBytes'),
    stateWriteBytes: sum('stateWriteBytes'),
    readBytes: sum('readBytes'),
    writeBytes: sum('writeBytes'),
  };
}

/** Costs by op, in the order in which the ops first occur. */
export function costByOp(costs: readonly CostEntry[]): Map<PlanStep['op'], StepCost> {
  const groups = new Map<PlanStep['op'], CostEntry[]>();
  for (const cost of costs) {
    groups.set(cost.step.op, [...(groups.get(cost.step.op) ?? []), cost]);
  }
  return new Map([...groups].map(([op, group]) => [op, totalCost(group)]));
}

/** Everything that must move to and from memory: the floor of a decode that nothing overlaps with. */
export function trafficOf(cost: StepCost): number {
  return (
    cost.weightBytes + cost.stateReadBytes + cost.stateWriteBytes + cost.readBytes + cost.writeBytes
  );
}

/** Multiply-adds of one token, averaged over the tokens of the load where it depends on the position. */
function macsPerToken(step: PlanStep, { tokens, position }: Load): number {
  const { width } = step.y;
  switch (step.op) {
    case 'linear':
      return step.inputs.x.width * width;
    case 'rmsNorm':
      return 2 * width;
    case 'layerNorm':
      return 3 * width;
    case 'gatedRmsNorm':
      return 4 * width; // square, scale, and the gate's exponential and product
    case 'gate':
      return 2 * width;
    case 'rope':
      return 2 * width;
    case 'causalConv1d':
    case 'causalConv1dStep':
      return step.attributes.dConv * width;
    case 'selectiveScan':
    case 'selectiveScanStep':
      // for every state: Δ·A, its exponential, decay·h, Δ·B·x (2), C·h; for every channel: D·x, z, Δ
      return step.attributes.dState * width * 6 + 3 * width;
    case 'ssd':
    case 'ssdStep':
      // for every state: decay·h, x·B, C·h; for every channel: Δ·x, D·x
      return step.attributes.dState * width * 3 + 2 * width + 2 * step.attributes.nHeads;
    case 'discreteSsd':
    case 'discreteSsdStep':
      return step.attributes.dState * width * 3 + width + step.attributes.nHeads;
    case 'attention':
    case 'attentionStep': {
      const seen = position + (tokens + 1) / 2; // keys that a token sees, on average
      const { nHeads, headDim } = step.attributes;
      return nHeads * seen * (2 * headDim + 1);
    }
    case 'embedding':
    case 'repeatColumns':
    case 'joinColumns':
    case 'lastTokens':
      return 0;
  }
}

function weightNumbers(
  step: PlanStep,
  shapes: ReadonlyMap<string, readonly number[]>,
  tokens: number,
): number {
  if (step.op === 'embedding') return tokens * step.y.width; // only the rows that are looked up
  return Object.values(step.weights as Record<string, string | undefined>).reduce(
    (sum, name) => sum + (name === undefined ? 0 : sizeOf(shapes.get(name) ?? [0])),
    0,
  );
}

/** Numbers of state that one row's tokens read and write. */
function stateTraffic(
  step: PlanStep,
  slots: ReadonlyMap<string, StateSlot>,
  { tokens, position }: Load,
): { read: number; written: number } {
  let [read, written] = [0, 0];
  for (const value of Object.values(step.attributes as Record<string, unknown>)) {
    const slot = typeof value === 'string' ? slots.get(value) : undefined;
    if (!slot) continue;
    const size = sizeOf(slot.shape);
    read += slot.grows ? size * (position + tokens) : size;
    written += slot.grows ? size * tokens : size;
  }
  return { read, written };
}
