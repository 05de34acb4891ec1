/** Ours as a contestant: the tape over the WASM kernels. */

import { openTraining } from '../../../lib/train/device.ts';
import { stepOf } from '../../training.bench.ts';
import { readProblem } from './problem.ts';
import type { Trainer } from './protocol.ts';

export async function openOurs(folder: string, threads: number): Promise<Trainer> {
  const { problem, model, data } = await readProblem(folder);
  const device = await openTraining('wasm', { threads });
  const { step } = stepOf(device, model, data, problem.hyperparameters);
  return { info: `selscan, ${device.name}`, step: async () => step() };
}
