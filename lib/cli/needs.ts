/** What `train` and `distil` say before their first step: memory and time; and no, where the memory is not there. */

import type { TrainingDevice } from '../../backends/training.ts';
import { BackendError } from '../../reference/errors.ts';
import type { Tensor } from '../../reference/tensor.ts';
import type { Batch } from '../train/batches.ts';
import {
  type BatchSize,
  type LimitedDevice,
  largestBatch,
  type MemoryNeeds,
  memoryNeeds,
  type Phase,
  type PhaseNeeds,
  timeNeeds,
} from '../train/estimate.ts';
import type { Context } from './context.ts';
import { freeMemory } from './freeMemory.ts';
import { formatBytes } from './terminal.ts';
import { minutes } from './training.ts';

export interface Plan {
  readonly phases: readonly Phase[];
  readonly size: BatchSize;
  readonly batches: (step: number) => Batch;
  /** What else is computed on the device when all phases are done. */
  readonly afterwards?: (device: TrainingDevice, size: BatchSize) => void;
}

/** Batches whose lengths say what is usual. */
const USUAL = 8;

/**
 * Tells what a run needs, on stderr or as a JSON line; a dry run tells it on stdout. Takes the memory of its steps.
 * @throws BackendError with code OutOfMemory, and the largest batch that fits.
 */
export async function tellNeeds(
  device: TrainingDevice,
  plan: Plan,
  flags: { json?: boolean; dryRun?: boolean },
  { terminal }: Context,
): Promise<void> {
  const { phases, size, batches } = plan;
  const memory = hasMemory(device) ? await expectRoom(device, plan) : undefined;
  if (memory) device.memory?.reserve(memory.needs.most);
  // before the first lengths are known the memory must be: they are of whole batches
  const lengths = Array.from({ length: USUAL }, (_, i) => batches(i + 1).seqlen);
  const seqlen = Math.ceil(lengths.reduce((sum, n) => sum + n, 0) / USUAL);
  const seconds = timeNeeds(device, phases, { ...size, seqlen });
  const all = seconds.reduce((sum, n) => sum + n, 0);
  if (flags.json) {
    const stages = phases.map(({ name, steps, done = 0 }, i) => ({
      ...{ name, steps, done, seconds: seconds[i], ...memory?.needs.phases[i] },
    }));
    const { needs, limit } = memory ?? {};
    const bytes = needs && { bytes: needs.peak, saving: needs.saving, limit };
    terminal.out(`${JSON.stringify({ estimate: { seconds: all, ...bytes, stages } })}\n`);
    return;
  }
  const tell = flags.dryRun ? terminal.out : terminal.err;
  phases.forEach(({ name, steps, done = 0 }, i) => {
    const left = done > 0 ? `${steps - done} of ${steps} steps left,` : `${steps} steps`;
    const time = `${name}: ${left} in about ${minutes(seconds[i])}`;
    tell(memory ? `${time}; ${sentenceOf(memory.needs.phases[i])}\n` : `${time}\n`);
  });
  const whole = `about ${minutes(all)} of training in all`;
  tell(memory ? `${whole}, ${formatBytes(memory.needs.peak)} of memory\n` : `${whole}\n`);
}

const hasMemory = (device: TrainingDevice): device is LimitedDevice => device.memory !== undefined;

/** What a plan needs of the memory. @throws BackendError with code OutOfMemory where that is not there. */
async function expectRoom(device: LimitedDevice, { phases, size, afterwards }: Plan) {
  const { limit } = device.memory;
  const free = await freeMemory();
  const [, dModel] = (phases[0].weights.get('embedding') as Tensor).shape;
  /** Nothing where not even the embeddings of the tokens have room. */
  const needsOf = (batch: number): MemoryNeeds | undefined =>
    4 * batch * size.seqlen * dModel > limit
      ? undefined
      : memoryNeeds(device, phases, { ...size, batch }, afterwards);
  const fits = (needs?: MemoryNeeds) =>
    needs !== undefined && needs.peak <= limit && needs.peak + needs.saving <= free;
  const needs = needsOf(size.batch);
  if (needs && fits(needs)) return { needs, limit };
  const largest = largestBatch(size.batch, (batch) => fits(needsOf(batch)));
  const got = needs
    ? formatBytes(needs.peak > limit ? needs.peak : needs.peak + needs.saving)
    : `more than ${formatBytes(limit)}`;
  const room =
    needs && needs.peak <= limit
      ? `${formatBytes(free)} that the machine has free`
      : `${formatBytes(limit)} that WASM can have`;
  const way =
    largest > 0
      ? `take "batch": ${largest}, the largest that fits`
      : 'not even a batch of 1 fits: take a smaller seqlen or a smaller model';
  throw new BackendError(
    `memory: expected a run within the ${room}, got one of ${got} ` +
      `with batch ${size.batch} and seqlen ${size.seqlen}; ${way}`,
    'OutOfMemory',
  );
}

function sentenceOf({ parameters, trained, ...bytes }: PhaseNeeds): string {
  const millions = (n: number) => `${(n / 1e6).toPrecision(3)} M`;
  const parts = (
    ['weights', 'moments', 'teacher', 'activations', 'gradients', 'workspace'] as const
  ).flatMap((name) => (bytes[name] > 0 ? [`${name} ${formatBytes(bytes[name])}`] : []));
  const share = trained === parameters ? 'all trained' : `${millions(trained)} of them trained`;
  return `${millions(parameters)} parameters, ${share}; ${parts.join(', ')}`;
}
