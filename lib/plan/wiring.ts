/** What the wiring of every mixer is written with: buffers that are written once, and columns of them. */

import type { Columns, Plan, PlanStep, StateSlot } from '../../backends/plan.ts';

/** A step before its output has a name. */
type Unnamed<Step> = Step extends PlanStep
  ? Omit<Step, 'y' | 'layer' | 'weights' | 'attributes'> &
      Partial<Pick<Step, 'weights' | 'attributes'>> & { width: number }
  : never;

/** Collects the steps of one plan. */
export class Wiring {
  readonly kind: Plan['kind'];
  readonly steps: PlanStep[] = [];
  readonly state: StateSlot[] = [];
  /** The layer that is being wired, if any. */
  layer?: number;

  constructor(kind: Plan['kind']) {
    this.kind = kind;
  }

  /** The name of an op over a sequence, or of its form for one token. */
  sequenceOp<Op extends string>(op: Op): Op | `${Op}Step` {
    return this.kind === 'step' ? `${op}Step` : op;
  }

  /** A weight of the current layer. */
  weight(name: string): string {
    return `layers.${this.layer}.${name}`;
  }

  /** A weight of the current layer where the config has it. */
  optionalWeight<Role extends string>(
    role: Role,
    name: string,
    exists: boolean,
  ): { [K in Role]?: string } {
    return (exists ? { [role]: this.weight(name) } : {}) as { [K in Role]?: string };
  }

  /** Declares a part of the current layer's state and returns its name. */
  slot(part: StateSlot['part'], ...shape: number[]): string {
    const { layer } = this;
    if (layer === undefined) throw new Error('wiring: state belongs to a layer');
    const name = `layers.${layer}.${part}`;
    const grows = part === 'keys' || part === 'values';
    this.state.push({ name, layer, part, shape, grows });
    return name;
  }

  /** Adds a step under a name that says what it makes, and returns its output. */
  add(name: string, { width, ...step }: Unnamed<PlanStep>): Columns {
    const buffer = this.layer === undefined ? name : `layers.${this.layer}.${name}`;
    const y = { buffer, from: 0, width };
    const { layer } = this;
    const whole = {
      weights: {},
      attributes: {},
      ...step,
      ...(layer !== undefined && { layer }),
      y,
    };
    this.steps.push(whole as PlanStep);
    return y;
  }
}

/** Neighbouring columns of a projection, by their widths. */
export function split(all: Columns, widths: readonly number[]): Columns[] {
  let { from } = all;
  const parts = widths.map((width) => {
    const part = { buffer: all.buffer, from, width };
    from += width;
    return part;
  });
  if (from !== all.from + all.width) {
    throw new Error(`wiring: ${all.buffer}: ${widths.join(' + ')} columns of ${all.width}`);
  }
  return parts;
}
