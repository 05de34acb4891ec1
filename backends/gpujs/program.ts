/** A plan ready to run for a number of tokens at a time: its kernels, and the memory that they write. */

import type { Plan, PlanStep } from '../plan.ts';
import { assignRegisters } from '../registers.ts';
import type { Device } from './device.ts';
import { type Handle, type Kernel, type KernelSpec, keyFor } from './kernel.ts';
import type { DeviceState } from './state.ts';
import { type Call, runStep } from './steps.ts';
import { type Frame, Tape } from './tape.ts';
import type { WeightStore } from './weights.ts';

/**
 * The first run goes through the plan and finds the kernel of every step. It is taken down on a tape, and later
 * runs play the tape: nothing but kernel calls is left of them.
 */
export class Program {
  readonly #plan: Plan;
  readonly #tokens: number;
  readonly #device: Device;
  readonly #weights: WeightStore;
  readonly #state: DeviceState;
  readonly #registers: Map<string, number>;
  readonly #kernels = new Map<string, Kernel>();
  /** Steps for all tokens, and those for the last token of each sequence. */
  readonly #body: Tape;
  readonly #tail: Tape;

  constructor(
    plan: Plan,
    tokens: number,
    on: { device: Device; weights: WeightStore; state: DeviceState },
  ) {
    this.#plan = plan;
    this.#tokens = tokens;
    this.#device = on.device;
    this.#weights = on.weights;
    this.#state = on.state;
    this.#registers = assignRegisters(plan);
    const cut = plan.steps.findIndex(({ op }) => op === 'lastTokens');
    const bodyLength = cut < 0 ? plan.steps.length : cut;
    this.#body = new Tape(plan.steps.slice(0, bodyLength));
    this.#tail = new Tape(plan.steps.slice(bodyLength));
  }

  /**
   * Runs the plan. Returns the logits (tokens, vocabRows), or those of the wanted tokens (slots, vocabRows)
   * with a prefill plan; nothing if none are wanted.
   */
  async run(call: Call): Promise<Handle | undefined> {
    const frame: Frame = { call, results: [], buffers: new Map() };
    await this.#body.play(frame, this.#state, (step) => this.#record(step, frame, this.#tokens));
    if (this.#tail.isEmpty) return frame.buffers.get('logits');
    if (!call.last) return undefined;
    const { slots } = this.#state.sizes;
    await this.#tail.play(frame, this.#state, (step) => this.#record(step, frame, slots));
    return frame.buffers.get('logits');
  }

  /** Frees the kernels and what they wrote. */
  dispose(): void {
    for (const kernel of this.#kernels.values()) kernel.destroy();
    this.#kernels.clear();
  }

  /** What a step runs, for the first time. */
  #record(step: PlanStep, { call, buffers }: Frame, tokens: number) {
    const register = `register ${this.#registers.get(step.y.buffer)}`;
    return {
      run: (context: Pick<Parameters<typeof runStep>[1], 'out' | 'inner' | 'state'>) =>
        runStep(step, {
          ...context,
          tokens,
          isStep: this.#plan.kind === 'step',
          call,
          weights: this.#weights,
          read: ({ buffer }) => buffers.get(buffer) as Handle,
        }),
      /** Steps with the same kernel share it where they share the place that it writes to. */
      out: (spec: KernelSpec, args: readonly Handle[]) => this.#kernel(spec, args, register),
      inner: (spec: KernelSpec, args: readonly Handle[]) => this.#kernel(spec, args, 'inner'),
    };
  }

  #kernel(spec: KernelSpec, args: readonly Handle[], place: string): Kernel {
    const key = `${place} ${keyFor(spec, args)}`;
    let kernel = this.#kernels.get(key);
    if (!kernel) {
      kernel = this.#device.newKernel(spec);
      this.#kernels.set(key, kernel);
    }
    return kernel;
  }
}
