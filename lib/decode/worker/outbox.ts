/** Events on their way out of a worker: in batches, and never more of them than somebody takes. */

import type { GenerateEvent } from '../events.ts';

/** Batches that may be under way; then decoding waits until one was taken. */
const MOST_UNDER_WAY = 4;
/** A batch is sent when it is this long, … */
const BATCH = 256;
/** … or after this many milliseconds, so that text flows and a message costs little of the time. */
const INTERVAL = 15;

export class Outbox {
  readonly #send: (events: GenerateEvent[]) => void;
  #events: GenerateEvent[] = [];
  #underWay = 0;
  #sentAt = Number.NEGATIVE_INFINITY;
  #wake?: () => void;
  #isStopped = false;

  constructor(send: (events: GenerateEvent[]) => void) {
    this.#send = send;
  }

  /** Takes the events of a step; waits while too many are under way. @returns whether anybody still listens. */
  async add(events: readonly GenerateEvent[]): Promise<boolean> {
    for (const event of events) this.#events.push(event);
    // a chain that has ended is safe once it is out of the worker
    const isUrgent = events.some(({ kind }) => kind !== 'token');
    const isDue = performance.now() - this.#sentAt >= INTERVAL;
    if (isUrgent || isDue || this.#events.length >= BATCH) this.flush();
    while (this.#underWay >= MOST_UNDER_WAY && !this.#isStopped) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return !this.#isStopped;
  }

  /** Sends what is left. */
  flush(): void {
    if (this.#events.length === 0 || this.#isStopped) return;
    this.#send(this.#events);
    this.#events = [];
    this.#underWay++;
    this.#sentAt = performance.now();
  }

  /** A batch was taken. */
  taken(): void {
    this.#underWay--;
    this.#wake?.();
  }

  /** Nobody listens any more. */
  stop(): void {
    this.#isStopped = true;
    this.#wake?.();
  }
}
