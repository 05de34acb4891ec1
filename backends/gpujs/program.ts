/** A plan ready to run for a number of tokens at a time: its kernels, and the memory that they write. */

import type { Plan } from '../plan.ts';
import type { Device } from './device.ts';
import { type Handle, type Kernel, type KernelSpec, keyOf } from './kernel.ts';
import { assignRegisters } from './registers.ts';
import type { DeviceState } from './state.ts';
import { type Call, runStep, type StepContext } from './steps.ts';
import type { WeightStore } from './weights.ts';

export class Program {
  readonly #plan: Plan;
  readonly #tokens: number;
  readonly #device: Device;
  readonly #weights: WeightStore;
  readonly #state: DeviceState;
  readonly #registers: Map<string, number>;
  readonly #kernels = new Map<string, Kernel>();

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
  }

  /**
   * Runs the plan. Returns the logits (tokens, vocabRows), or those of the wanted tokens (slots, vocabRows)
   * with a prefill plan; nothing if none are wanted.
   */
  async run(call: Call): Promise<Handle | undefined> {
    const buffers = new Map<string, Handle>();
    let tokens = this.#tokens;
    for (const step of this.#plan.steps) {
      if (step.op === 'lastTokens') {
        if (!call.last) return undefined;
        tokens = this.#state.sizes.slots;
      }
      const register = `register ${this.#registers.get(step.y.buffer)}`;
      const context: StepContext = {
        tokens,
        isStep: this.#plan.kind === 'step',
        call,
        weights: this.#weights,
        state: this.#state,
        read: ({ buffer }) => buffers.get(buffer) as Handle,
        out: (spec, ...args) => this.#run(spec, register, args),
        inner: (spec, ...args) => this.#run(spec, 'inner', args),
      };
      buffers.set(step.y.buffer, await runStep(step, context));
    }
    return buffers.get('logits');
  }

  /** Frees the kernels and what they wrote. */
  dispose(): void {
    for (const kernel of this.#kernels.values()) kernel.destroy();
    this.#kernels.clear();
  }

  /** Steps with the same kernel share it where they share the place that it writes to. */
  #run(spec: KernelSpec, place: string, args: readonly Handle[]): Promise<Handle> {
    const key = `${place} ${keyOf(spec)}`;
    let kernel = this.#kernels.get(key);
    if (!kernel) {
      kernel = this.#device.newKernel(spec);
      this.#kernels.set(key, kernel);
    }
    return kernel.run(...args);
  }
}
