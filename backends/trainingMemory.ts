/** What training asks of a device whose memory ends. */

import type { TrainingDevice } from './training.ts';

/** What a step takes of a memory besides the numbers that are kept, in bytes. */
export interface StepBytes {
  /** Until the device's `reset`. */
  readonly passing: number;
  /** Until the next op. */
  readonly workspace: number;
}

/** A memory that ends somewhere, and how to know beforehand what a run takes of it. */
export interface DeviceMemory {
  /** Bytes that were ever taken. */
  readonly peak: number;
  /** Most bytes that it may have. */
  readonly limit: number;
  /** Takes at once what the largest step needs. @throws BackendError with code OutOfMemory. */
  reserve(step: StepBytes): void;
  /** A device that lays everything out like this one, and neither holds nor computes anything: what it reads is 0. */
  counting(): CountingDevice;
}

export interface CountingDevice extends TrainingDevice {
  /** Bytes: `kept` and `passing` now, `most` at their most. */
  counted(): { readonly kept: number; readonly passing: number; readonly most: MostBytes };
}

export interface MostBytes extends StepBytes {
  readonly kept: number;
}
