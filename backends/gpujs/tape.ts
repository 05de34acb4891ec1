/** Kernel calls in order, with where each argument comes from: what is left of a plan after its first run. */

import type { PlanStep } from '../plan.ts';
import type { Handle, Kernel, KernelSpec } from './kernel.ts';
import type { DeviceState, Pair } from './state.ts';
import type { Call, StepContext } from './steps.ts';

/** One run: what it was called with, and what its kernels have made so far. */
export interface Frame {
  readonly call: Call;
  readonly results: Handle[];
  readonly buffers: Map<string, Handle>;
}

/** Finds an argument in a run. */
type Source = (frame: Frame, state: DeviceState) => Handle;

interface Instruction {
  /** One kernel, or the two that write a part of the state in turn. */
  readonly kernel: Kernel | { readonly part: string; readonly pair: Pair };
  readonly sources: readonly Source[];
  /** The buffer that the plan calls the result. */
  buffer?: string;
}

/** How a step runs when it is recorded. */
export interface Recording {
  run(context: Pick<StepContext, 'out' | 'inner' | 'state'>): Promise<Handle>;
  out(spec: KernelSpec, args: readonly Handle[]): Kernel;
  inner(spec: KernelSpec, args: readonly Handle[]): Kernel;
}

export class Tape {
  readonly #steps: readonly PlanStep[];
  #instructions?: Instruction[];

  constructor(steps: readonly PlanStep[]) {
    this.#steps = steps;
  }

  get isEmpty(): boolean {
    return this.#steps.length === 0;
  }

  /** Plays the tape, or records it while it runs for the first time. */
  async play(
    frame: Frame,
    state: DeviceState,
    record: (step: PlanStep) => Recording,
  ): Promise<void> {
    if (!this.#instructions) {
      this.#instructions = await recorded(this.#steps, frame, state, record);
      return;
    }
    for (const { kernel, sources, buffer } of this.#instructions) {
      const args = sources.map((source) => source(frame, state));
      const result =
        'pair' in kernel
          ? await state.advance(kernel.part, kernel.pair, args)
          : await kernel.run(...args);
      frame.results.push(result);
      if (buffer !== undefined) frame.buffers.set(buffer, result);
    }
  }
}

async function recorded(
  steps: readonly PlanStep[],
  frame: Frame,
  state: DeviceState,
  record: (step: PlanStep) => Recording,
): Promise<Instruction[]> {
  const instructions: Instruction[] = [];
  const sources = sourcesOf(frame);
  const note = (kernel: Instruction['kernel'], args: readonly Handle[], result: Handle) => {
    // what no run makes is a weight
    const from = args.map((arg): Source => sources.get(arg) ?? (() => arg));
    instructions.push({ kernel, sources: from });
    const index = frame.results.push(result) - 1;
    sources.set(result, ({ results }) => results[index]);
    return result;
  };
  const recordingState: StepContext['state'] = {
    sizes: state.sizes,
    get: (part) => {
      const handle = state.get(part);
      sources.set(handle, (_, now) => now.get(part));
      return handle;
    },
    write: async (part, spec, ...args) => {
      const pair = state.pairOf(part, spec, args);
      note({ part, pair }, args, await state.advance(part, pair, args));
    },
  };
  for (const step of steps) {
    const recording = record(step);
    const runner =
      (kernelOf: Recording['out']) =>
      async (spec: KernelSpec, ...args: readonly Handle[]) => {
        const kernel = kernelOf(spec, args);
        return note(kernel, args, await kernel.run(...args));
      };
    const out = runner(recording.out);
    const inner = runner(recording.inner);
    const y = await recording.run({ out, inner, state: recordingState });
    frame.buffers.set(step.y.buffer, y);
    instructions[frame.results.indexOf(y) - frame.results.length + instructions.length].buffer =
      step.y.buffer;
  }
  return instructions;
}

/** Where the handles of a run come from, as far as it has got. */
function sourcesOf({ call, results }: Frame): Map<Handle, Source> {
  const sources = new Map<Handle, Source>();
  for (const key of ['tokens', 'runs', 'spans', 'live', 'last'] as const) {
    const handle = call[key];
    if (handle) sources.set(handle, (frame) => frame.call[key] as Handle);
  }
  for (const [key, { cos, sin }] of call.rotations) {
    sources.set(cos, (frame) => frame.call.rotations.get(key)?.cos as Handle);
    sources.set(sin, (frame) => frame.call.rotations.get(key)?.sin as Handle);
  }
  results.forEach((result, index) => {
    sources.set(result, (frame) => frame.results[index]);
  });
  return sources;
}
