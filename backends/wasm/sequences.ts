/** The states of sequences: a block of fixed size for each, and pages of a cache that forks share. */

import { BackendError } from '../../reference/errors.ts';
import type { SequenceState, TokenCache } from '../../reference/state.ts';
import type { Tensor } from '../../reference/tensor.ts';
import type { PlanStep, StateSlot } from '../plan.ts';
import { PAGE_TOKENS } from './abi.ts';
import { cachePart, type KeyOrValue } from './cache.ts';
import type { Memory } from './memory.ts';
import * as packing from './packing.ts';
import { SLACK } from './weights.ts';

/** A sequence in memory. */
export interface Sequence {
  /** Tokens taken in so far. */
  position: number;
  /** Address of its state of fixed size. */
  readonly state: number;
  /** Addresses of the pages of its cache, in order. */
  pages: number[];
  /** Address of the same list for the kernels, and how many entries it has room for. */
  table: number;
  tableRoom: number;
}

/** Where a part of the state lies, and how. */
interface Part {
  readonly slot: StateSlot;
  /** Bytes from the beginning of the sequence's state, or of a page. */
  readonly offset: number;
  /** Numbers that it takes: of a sequence, or of a page. */
  readonly size: number;
  pack(to: Float32Array, data: ArrayLike<number>): void;
  unpack(from: Float32Array): Float32Array;
  /** Of caches: tokens of a page, one after the other, and back. */
  readonly cache?: KeyOrValue;
}

const FIRST_TABLE = 16;

export class SequenceStore {
  readonly #memory: Memory;
  readonly #parts = new Map<string, Part>();
  readonly #layers: number;
  /** How many sequences share a page. */
  readonly #sharers = new Map<number, number>();
  /** Bytes of a sequence's state, and of a page; 0 for a model without attention. */
  readonly stateBytes: number;
  readonly pageBytes: number;

  constructor(memory: Memory, state: readonly StateSlot[], steps: readonly PlanStep[]) {
    this.#memory = memory;
    let [fixed, page] = [0, 0];
    for (const slot of state) {
      const part = partOf(slot, steps, slot.grows ? page : fixed);
      this.#parts.set(slot.name, part);
      const bytes = Math.ceil((4 * part.size) / SLACK) * SLACK;
      if (slot.grows) page += bytes;
      else fixed += bytes;
    }
    this.#layers = Math.max(-1, ...state.map(({ layer }) => layer)) + 1;
    this.stateBytes = fixed + SLACK;
    this.pageBytes = page === 0 ? 0 : page + SLACK;
  }

  /** Bytes from the beginning of a state, or of a page, at which a part begins. */
  offsetOf(name: string): number {
    return this.#parts.get(name)?.offset ?? 0;
  }

  /** A sequence without tokens. */
  create(): Sequence {
    const state = this.#memory.allocateZeros(this.stateBytes);
    return { position: 0, state, pages: [], table: 0, tableRoom: 0 };
  }

  /** A copy. Full pages are shared; the one that is being filled is copied. */
  fork(parent: Sequence): Sequence {
    const child: Sequence = { ...this.create(), position: parent.position };
    try {
      this.#memory.bytes.copyWithin(child.state, parent.state, parent.state + this.stateBytes);
      const full = Math.floor(parent.position / PAGE_TOKENS);
      for (const page of parent.pages.slice(0, full)) {
        this.#sharers.set(page, (this.#sharers.get(page) ?? 0) + 1);
        child.pages.push(page);
      }
      this.makeRoom(child, parent.position);
      for (const [i, page] of parent.pages.slice(full, child.pages.length).entries()) {
        this.#memory.bytes.copyWithin(child.pages[full + i], page, page + this.pageBytes);
      }
      return child;
    } catch (error) {
      this.release(child);
      throw error;
    }
  }

  /** Makes room for so many tokens. @throws BackendError with code OutOfMemory; nothing is lost then. */
  makeRoom(sequence: Sequence, tokens: number): void {
    if (this.pageBytes === 0) return;
    const wanted = Math.ceil(tokens / PAGE_TOKENS);
    if (wanted > sequence.tableRoom) this.#growTable(sequence, wanted);
    while (sequence.pages.length < wanted) {
      const page = this.#memory.allocate(this.pageBytes);
      this.#sharers.set(page, 1);
      this.#memory.u32[sequence.table / 4 + sequence.pages.length] = page;
      sequence.pages.push(page);
    }
  }

  release(sequence: Sequence): void {
    this.#memory.free(sequence.state, this.stateBytes);
    this.#memory.free(sequence.table, 4 * sequence.tableRoom);
    for (const page of sequence.pages) {
      const left = (this.#sharers.get(page) ?? 1) - 1;
      if (left > 0) this.#sharers.set(page, left);
      else {
        this.#sharers.delete(page);
        this.#memory.free(page, this.pageBytes);
      }
    }
    sequence.pages = [];
  }

  /** Bytes that one more sequence of so many tokens takes, the first `shared` of them another's. */
  bytesFor(tokens: number, shared: number): number {
    if (this.pageBytes === 0) return this.stateBytes;
    const pages = Math.ceil(tokens / PAGE_TOKENS) - Math.floor(shared / PAGE_TOKENS);
    const table = tableFor(Math.ceil(tokens / PAGE_TOKENS));
    return this.stateBytes + Math.max(pages, 0) * this.pageBytes + 4 * table;
  }

  /** The state as the reference keeps it. */
  save(sequence: Sequence): SequenceState {
    const { position } = sequence;
    const layers: SequenceState['layers'] = Array.from({ length: this.#layers }, () => ({}));
    const numbers = (address: number, { offset, size }: Part) =>
      this.#memory.f32.subarray((address + offset) / 4, (address + offset) / 4 + size);
    for (const part of this.#parts.values()) {
      const { slot, cache } = part;
      let value: Tensor | TokenCache;
      if (cache) {
        const { width } = cache;
        const data = new Float32Array(position * width);
        sequence.pages.forEach((page, i) => {
          const from = i * PAGE_TOKENS;
          const count = Math.min(PAGE_TOKENS, position - from);
          for (let t = 0; t < count; t++) {
            data.set(cache.tokenOf(numbers(page, part), t), (from + t) * width);
          }
        });
        value = { data, length: position, width };
      } else {
        const data = part.unpack(numbers(sequence.state, part));
        value = { data, shape: [1, ...slot.shape] };
      }
      Object.assign(layers[slot.layer], { [slot.part]: value });
    }
    return { position, layers };
  }

  /** A new sequence that goes on from a state. */
  load(state: SequenceState): Sequence {
    const sequence = this.create();
    try {
      this.makeRoom(sequence, state.position);
      for (const part of this.#parts.values()) this.#loadPart(sequence, part, state);
      sequence.position = state.position;
      return sequence;
    } catch (error) {
      this.release(sequence);
      throw error;
    }
  }

  #loadPart(sequence: Sequence, part: Part, state: SequenceState): void {
    const { slot, offset, size, cache } = part;
    const value = state.layers[slot.layer]?.[slot.part];
    const { f32 } = this.#memory;
    if (!value) throw foreign(slot);
    if (!cache) {
      if (value.data.length !== size && value.data.length !== sizeOf(slot)) throw foreign(slot);
      const at = (sequence.state + offset) / 4;
      part.pack(f32.subarray(at, at + size), value.data);
      return;
    }
    if (value.data.length < state.position * cache.width) throw foreign(slot);
    for (let t = 0; t < state.position; t++) {
      const at = (sequence.pages[Math.floor(t / PAGE_TOKENS)] + offset) / 4;
      const token = value.data.subarray(t * cache.width, (t + 1) * cache.width);
      cache.putToken(f32.subarray(at, at + size), t % PAGE_TOKENS, token);
    }
  }

  #growTable(sequence: Sequence, pages: number): void {
    const room = tableFor(pages);
    const table = this.#memory.allocate(4 * room);
    this.#memory.u32.set(sequence.pages, table / 4);
    this.#memory.free(sequence.table, 4 * sequence.tableRoom);
    sequence.table = table;
    sequence.tableRoom = room;
  }
}

const tableFor = (pages: number) =>
  Math.max(FIRST_TABLE, 2 ** Math.ceil(Math.log2(Math.max(pages, 1))));

const sizeOf = ({ shape }: StateSlot) => shape.reduce((size, n) => size * n, 1);

function foreign({ name }: StateSlot): BackendError {
  return new BackendError(
    `state: ${name} does not fit; is it a state of this model?`,
    'StateMismatch',
  );
}

/** How a part of the state lies in memory: as the step that carries it wants it. */
function partOf(slot: StateSlot, steps: readonly PlanStep[], offset: number): Part {
  const { shape, part } = slot;
  const owner = steps.find(({ attributes }) => Object.values(attributes).includes(slot.name));
  const attributes = (owner?.attributes ?? {}) as Record<string, number>;
  if (part === 'convState') {
    const [channels, taps] = shape;
    const size = packing.channelsStride(channels) * taps;
    return {
      ...{ slot, offset, size },
      pack: (to, data) => packing.packTaps(to, data, channels, taps),
      unpack: (from) => packing.unpackTaps(from, channels, taps),
    };
  }
  if (part === 'h') {
    // (dInner, dState) in groups of channels, or (nHeads, headDim, dState)
    const depth = shape[shape.length - 1];
    const groups = shape.length === 3 ? shape[0] : attributes.nGroups;
    const perGroup = shape.length === 3 ? shape[1] : shape[0] / groups;
    return {
      ...{ slot, offset, size: packing.lanesSize(groups, perGroup, depth) },
      pack: (to, data) => packing.packLanes(to, data, groups, perGroup, depth),
      unpack: (from) => packing.unpackLanes(from, groups, perGroup, depth),
    };
  }
  const cache = cachePart(part, attributes.nKvHeads, attributes.headDim);
  const none = () => new Float32Array(0);
  return { slot, offset, size: cache.size, pack: () => {}, unpack: none, cache };
}
