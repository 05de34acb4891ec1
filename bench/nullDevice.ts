/**
 * Decode steps on Dawn's null backend, which takes every command and does nothing: what is left is the host's
 * work. Numbers that come back are meaningless, so nothing is verified here; `steps` verifies the same code.
 * Run by overhead.bench.ts as a process of its own, because a process has one `navigator.gpu`. Its argument
 * and its answer on stdout are JSON. To see where the time goes:
 *
 *   node --cpu-prof --import tsx bench/nullDevice.ts '{"models":["mamba"],"batches":[8],"seconds":5}'
 */

import { create } from 'webgpu';
import { Device } from '../backends/gpujs/device.ts';
import { openBackend } from '../backends/index.ts';
import type { Backend } from '../backends/types.ts';
import { rivals } from './contestants.ts';
import { type Row, ratioColumns, timeColumns } from './report.ts';
import type { Settings } from './settings.ts';
import { smallModel, stateAfterPrompt } from './smallModels.ts';
import { stepper } from './steps.bench.ts';
import { race, timesOf } from './timing.ts';

type Request = Pick<Settings, 'models' | 'batches' | 'seconds'>;

const { models, batches, seconds } = JSON.parse(process.argv[2]) as Request;
const rows: Row[] = [];
const backend = await openNullDevice();
for (const name of models) {
  const model = smallModel(name);
  const state = await stateAfterPrompt(model);
  for (const batch of batches) {
    const contestants = await rivals(backend, { model, state, batch });
    for (const { startTiming } of contestants) startTiming?.();
    const timings = await race(
      contestants.map((one) => stepper(one, batch)),
      { seconds },
    );
    const [ours, naive] = timings.map(timeColumns);
    const cpuTimesNaive = Number(naive.cpuMs) / Number(ours.cpuMs);
    rows.push({
      ...{ model: name, batch, who: contestants[0].name, ...ours, cpuTimesNaive },
      ...ratioColumns('timesNaive', timesOf(timings[0], timings[1])),
    });
    rows.push({ model: name, batch, who: contestants[1].name, ...naive });
    for (const contestant of contestants) await contestant.close();
  }
}
process.stdout.write(JSON.stringify(rows));
await backend.close();

/** Opens gpujs:webgpu on a device that computes nothing. */
async function openNullDevice(): Promise<Backend> {
  const value = { gpu: create(['backend=null']) };
  Object.defineProperty(globalThis, 'navigator', { value, configurable: true });
  // an open device is asked for 1 + 1 and 2 + 1, which this one cannot know
  const { read } = Device.prototype;
  Device.prototype.read = async () => Float32Array.of(2, 3);
  try {
    return await openBackend('gpujs:webgpu');
  } finally {
    Device.prototype.read = read;
  }
}
