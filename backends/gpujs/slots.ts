/** Which sequence has which place in the device's arrays. */

/** A sequence on the device. */
export interface Sequence {
  slot: number;
  /** Tokens taken in so far. */
  position: number;
}

/** Places for sequences; moving them is put off until the next call, so that many forks are one copy. */
export class SlotTable {
  readonly #live = new Set<Sequence>();
  /** For each place the one whose state it is to have, −1 for none. */
  #from: number[] = [];
  #isMoved = false;

  /** Number of sequences. */
  get live(): number {
    return this.#live.size;
  }

  /** Tokens of the longest. */
  get longest(): number {
    let longest = 0;
    for (const { position } of this.#live) longest = Math.max(longest, position);
    return longest;
  }

  /** Makes a sequence whose state is that of another, or empty. */
  add(position: number, like?: Sequence): Sequence {
    const taken = new Set(Array.from(this.#live, ({ slot }) => slot));
    let slot = 0;
    while (taken.has(slot)) slot++;
    const sequence = { slot, position };
    this.#live.add(sequence);
    this.#from[slot] = like ? this.#from[like.slot] : -1;
    this.#isMoved = true;
    return sequence;
  }

  delete(sequence: Sequence): void {
    this.#live.delete(sequence);
  }

  /**
   * The moves that are due for a number of places, or undefined if there are none. Sequences are packed into
   * the first places where there are fewer than now.
   */
  takeMoves(slots: number, slotsNow: number): number[] | undefined {
    if (slots === slotsNow && !this.#isMoved) return undefined;
    const from = new Array<number>(slots).fill(-1);
    const homeless: [Sequence, number][] = [];
    for (const sequence of this.#live) {
      const source = this.#from[sequence.slot];
      if (sequence.slot < slots) from[sequence.slot] = source;
      else homeless.push([sequence, source]);
    }
    const taken = new Set(Array.from(this.#live, ({ slot }) => slot));
    let free = 0;
    for (const [sequence, source] of homeless) {
      while (taken.has(free)) free++;
      taken.add(free);
      sequence.slot = free;
      from[free] = source;
    }
    this.#from = Array.from({ length: slots }, (_, slot) => slot);
    this.#isMoved = false;
    return from;
  }
}
