/** A plan for people: one line per step, what it reads and makes, and what it costs. */

import type { Columns, Plan, PlanStep } from '../../backends/plan.ts';
import { costOf, type Load, trafficOf } from './cost.ts';

/** One line of a printed plan; also its JSON. */
export interface PlanLine {
  readonly layer?: number;
  readonly op: PlanStep['op'];
  /** The buffer that it writes, without the layer's prefix. */
  readonly writes: string;
  readonly width: number;
  /** What it reads, by role: `x: projected[0:32]`. */
  readonly reads: readonly string[];
  readonly weights: readonly string[];
  readonly state: readonly string[];
  readonly macs: number;
  /** Bytes of weights, state and buffers that it moves. */
  readonly bytes: number;
}

/** Every step of a plan with its cost under a load. */
export function describePlan(plan: Plan, load: Load): PlanLine[] {
  const slots = new Set(plan.state.map(({ name }) => name));
  return costOf(plan, load).map((cost): PlanLine => {
    const { step, macs } = cost;
    const attributes = Object.values(step.attributes as Record<string, unknown>);
    return {
      ...(step.layer !== undefined && { layer: step.layer }),
      op: step.op,
      writes: short(step.y.buffer),
      width: step.y.width,
      reads: Object.entries(step.inputs as Record<string, Columns>).map(
        ([role, columns]) => `${role}: ${describeColumns(columns, plan)}`,
      ),
      weights: Object.values(step.weights as Record<string, string>).map(short),
      state: attributes
        .filter((value): value is string => typeof value === 'string' && slots.has(value))
        .map(short),
      macs,
      bytes: trafficOf(cost),
    };
  });
}

/** Without `layers.0.`, which stands in a column of its own. */
function short(name: string): string {
  return name.replace(/^layers\.\d+\./, '');
}

function describeColumns({ buffer, from, width }: Columns, { steps }: Plan): string {
  const whole = steps.find(({ y }) => y.buffer === buffer)?.y.width;
  const range = width === whole ? '' : `[${from}:${from + width}]`;
  return `${short(buffer)}${range}`;
}
