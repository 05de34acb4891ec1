/** Runs a model's plans in one gpu.js mode: weights, states and tokens stay on the device. */

import type { SequenceState, TokenCache } from '../../reference/state.ts';
import type { StateSlot } from '../plan.ts';
import { checkDecode, checkStep, checkTokens, RowTable } from '../rows.ts';
import { takingTurns } from '../turns.ts';
import type { DecodeOptions, Executor, PlannedModel, Row } from '../types.ts';
import { type CallSizes, makeCall, type Work } from './calls.ts';
import { Chooser } from './chooser.ts';
import type { Device } from './device.ts';
import type { Handle } from './kernel.ts';
import { swapLast } from './layout.ts';
import { Program } from './program.ts';
import { type Sequence, SlotTable } from './slots.ts';
import { DeviceState } from './state.ts';
import { WeightStore } from './weights.ts';

/** Prompt tokens that are taken in at a time, of as many sequences as fit. */
const BLOCK = 32;
/** Tokens that the first caches have room for. */
const FIRST_CAPACITY = 32;

/** Takes a model to a device. */
export async function gpujsExecutor(device: Device, model: PlannedModel): Promise<Executor> {
  const runner = await Runner.create(device, model);
  const rows = new RowTable<Sequence>(({ position }) => position);
  const inTurn = takingTurns();
  const logitsOf = async (handle: Handle, sequences: readonly Sequence[]) => {
    const all = await device.read(handle);
    const [width] = handle.dims;
    return sequences.map(({ slot }) => all.slice(slot * width, (slot + 1) * width));
  };
  return {
    get info() {
      return device.info;
    },
    prefill: (prompts) =>
      inTurn(async () => {
        for (const tokens of prompts) checkTokens(model.config, tokens, 0);
        const sequences = prompts.map(() => runner.slots.add(0));
        const logits = new Map<Sequence, Float32Array>();
        for (const { work, ended } of inBlocks(sequences, prompts)) {
          const handle = await runner.prefill(work, ended);
          if (!handle) continue;
          const found = await logitsOf(handle, ended);
          ended.forEach((sequence, i) => {
            logits.set(sequence, found[i]);
          });
        }
        return sequences.map((sequence) => ({
          row: rows.add(sequence),
          logits: logits.get(sequence) as Float32Array,
        }));
      }),
    step: (live, tokens) =>
      inTurn(async () => {
        checkStep(live, tokens);
        const sequences = live.map((row) => rows.get(row));
        sequences.forEach(({ position }, i) => {
          checkTokens(model.config, [tokens[i]], position);
        });
        if (sequences.length === 0) return [];
        return logitsOf(await runner.step(sequences, tokens), sequences);
      }),
    decode: (live, tokens, options) =>
      inTurn(async () => {
        checkStep(live, tokens);
        checkDecode(options);
        const sequences = live.map((row) => rows.get(row));
        const room = (model.config.contextLength ?? Number.POSITIVE_INFINITY) - options.steps + 1;
        sequences.forEach(({ position }, i) => {
          checkTokens({ ...model.config, contextLength: room }, [tokens[i]], position);
        });
        return sequences.length === 0 ? [] : runner.decode(sequences, tokens, options);
      }),
    fork: async (row) => {
      const parent = rows.get(row);
      return rows.add(runner.slots.add(parent.position, parent));
    },
    save: (row) => inTurn(() => runner.save(rows.get(row))),
    load: (state) => inTurn(async (): Promise<Row> => rows.add(await runner.load(state))),
    release: (row) => {
      runner.slots.delete(rows.get(row));
      rows.delete(row);
    },
    close: () => inTurn(() => runner.dispose()),
  };
}

/** Cuts prompts into blocks: packed one after another, no token of padding between them. */
function* inBlocks(
  sequences: readonly Sequence[],
  prompts: readonly (readonly number[])[],
): Generator<{ work: Work[]; ended: Sequence[] }> {
  let [work, ended, room]: [Work[], Sequence[], number] = [[], [], BLOCK];
  for (const [i, sequence] of sequences.entries()) {
    for (let done = 0; done < prompts[i].length; ) {
      const tokens = prompts[i].slice(done, done + room);
      work.push({ sequence, tokens });
      done += tokens.length;
      room -= tokens.length;
      if (done === prompts[i].length) ended.push(sequence);
      if (room > 0) continue;
      yield { work, ended };
      [work, ended, room] = [[], [], BLOCK];
    }
  }
  if (work.length > 0) yield { work, ended };
}

/** The model on the device, with room for as many sequences and tokens as are in use. */
class Runner {
  readonly slots = new SlotTable();
  readonly #device: Device;
  readonly #model: PlannedModel;
  readonly #weights: WeightStore;
  readonly #state: DeviceState;
  readonly #chooser: Chooser;
  #programs: { step?: Program; prefill?: Program } = {};

  private constructor(device: Device, model: PlannedModel, state: DeviceState) {
    this.#device = device;
    this.#model = model;
    this.#weights = new WeightStore(device, model.weight);
    this.#state = state;
    this.#chooser = new Chooser(device);
  }

  static async create(device: Device, model: PlannedModel): Promise<Runner> {
    const sizes = { slots: 1, capacity: FIRST_CAPACITY };
    return new Runner(device, model, await DeviceState.create(device, model.step.state, sizes));
  }

  /** Takes in a block of tokens; returns the logits of the sequences that end in it, if any do. */
  async prefill(work: readonly Work[], ended: readonly Sequence[]): Promise<Handle | undefined> {
    await this.#makeRoom(work);
    const { prefill: plan } = this.#model;
    this.#programs.prefill ??= new Program(plan, BLOCK, this.#parts);
    const call = await makeCall(this.#device, plan, this.#sizes(BLOCK), work, { ended });
    const logits = await this.#programs.prefill.run(call);
    for (const { sequence, tokens } of work) sequence.position += tokens.length;
    return logits;
  }

  /** Gives each sequence a token; returns the logits of every place. */
  async step(
    sequences: readonly Sequence[],
    tokens: readonly number[],
    chosen?: Handle,
  ): Promise<Handle> {
    const work = sequences.map((sequence, i) => ({ sequence, tokens: [tokens[i]] }));
    await this.#makeRoom(work);
    const { slots } = this.#state.sizes;
    const { step: plan } = this.#model;
    this.#programs.step ??= new Program(plan, slots, this.#parts);
    const call = await makeCall(this.#device, plan, this.#sizes(slots), work, { chosen });
    const logits = await this.#programs.step.run(call);
    for (const sequence of sequences) sequence.position++;
    return logits as Handle;
  }

  /** Decodes on the device; returns each sequence's tokens. */
  async decode(
    sequences: readonly Sequence[],
    tokens: readonly number[],
    { steps, temperature = 0, uniform }: DecodeOptions,
  ): Promise<number[][]> {
    const { vocabSize } = this.#model.config;
    const decoded = sequences.map((): number[] => []);
    let chosen: Handle | undefined;
    for (let step = 0; step < steps; step++) {
      const logits = await this.step(sequences, tokens, chosen);
      if (temperature === 0 || !uniform) {
        chosen = await this.#chooser.likeliest(logits, vocabSize);
      } else {
        const u = new Float32Array(logits.dims[1]);
        sequences.forEach(({ slot }, row) => {
          u[slot] = uniform(row, step);
        });
        chosen = await this.#chooser.drawn(logits, vocabSize, temperature, u);
      }
      const all = await this.#device.read(chosen);
      sequences.forEach(({ slot }, row) => {
        decoded[row].push(all[slot]);
      });
    }
    return decoded;
  }

  async save({ slot, position }: Sequence): Promise<SequenceState> {
    await this.#makeRoom([]);
    const parts = await this.#state.read(slot);
    const layers: SequenceState['layers'] = this.#model.config.layers.map(() => ({}));
    for (const part of this.#model.step.state) {
      const data = parts.get(part.name) ?? new Float32Array(0);
      Object.assign(layers[part.layer], { [part.part]: toValue(part, data, position) });
    }
    return { position, layers };
  }

  async load(state: SequenceState): Promise<Sequence> {
    const sequence = this.slots.add(state.position);
    await this.#makeRoom([]);
    const { capacity } = this.#state.sizes;
    const parts = new Map(
      this.#model.step.state.map((part) => {
        const value = state.layers[part.layer][part.part];
        return [part.name, fromValue(part, value as Value, capacity)];
      }),
    );
    await this.#state.replace(sequence.slot, parts);
    return sequence;
  }

  async dispose(): Promise<void> {
    this.#dropPrograms();
    this.#chooser.dispose();
    this.#state.dispose();
    await this.#weights.dispose();
  }

  get #parts() {
    return { device: this.#device, weights: this.#weights, state: this.#state };
  }

  #sizes(tokens: number): CallSizes {
    return { tokens, slots: this.#state.sizes.slots };
  }

  /** Carries out moves that are due, with room for all sequences and for what is coming. */
  async #makeRoom(work: readonly Work[]): Promise<void> {
    const now = this.#state.sizes;
    const longest = Math.max(
      ...work.map(({ sequence, tokens }) => sequence.position + tokens.length),
      this.slots.longest,
    );
    const slots = roomFor(this.slots.live, now.slots);
    const capacity = Math.max(now.capacity, powerOfTwo(longest));
    const moves = this.slots.takeMoves(slots, now.slots);
    const grows = slots !== now.slots || capacity !== now.capacity;
    if (!moves && !grows) return;
    if (grows) this.#dropPrograms();
    const from = moves ?? Array.from({ length: slots }, (_, slot) => slot);
    await this.#state.rearrange(from, { slots, capacity });
  }

  #dropPrograms(): void {
    this.#programs.step?.dispose();
    this.#programs.prefill?.dispose();
    this.#programs = {};
  }
}

/** A power of two that holds the live sequences, and is at most four times as large. */
function roomFor(live: number, slots: number): number {
  return live > slots || live * 4 < slots ? powerOfTwo(live) : slots;
}

function powerOfTwo(n: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(n, 1)));
}

type Value = { data: ArrayLike<number> } & Partial<TokenCache>;

/** A part of one sequence's state as the reference keeps it, from the device's layout. */
function toValue({ shape, grows }: StateSlot, data: Float32Array, position: number) {
  if (grows) {
    const [width] = shape;
    return { data: data.slice(0, position * width), length: position, width };
  }
  const rows = shape[shape.length - 1];
  return { data: swapLast(data, 1, rows, data.length / rows), shape: [1, ...shape] };
}

/** {@link toValue} backwards, with room for as many tokens as the device has. */
function fromValue({ shape, grows }: StateSlot, { data }: Value, capacity: number): Float32Array {
  if (!grows) {
    const columns = shape[shape.length - 1];
    return swapLast(data, 1, data.length / columns, columns);
  }
  const all = new Float32Array(shape[0] * capacity);
  all.set(Float32Array.from(data).subarray(0, all.length));
  return all;
}
