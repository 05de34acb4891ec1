/** The host's share of a decode step: our executor and the naive port on a device that does nothing. */

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Column, Report, Row } from './report.ts';
import type { Settings } from './settings.ts';

const COLUMNS: readonly Column[] = [
  ['model', 'model'],
  ['batch', 'batch'],
  ['who', 'who'],
  ['ms a step', 'ms'],
  ['CPU ms', 'cpuMs'],
  ['× naive', 'timesNaive'],
  ['× naive, CPU', 'cpuTimesNaive'],
];

export async function benchOverhead(
  { models, batches, seconds }: Settings,
  report: Report,
): Promise<void> {
  const child = fileURLToPath(new URL('nullDevice.ts', import.meta.url));
  const request = JSON.stringify({ models, batches, seconds });
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', child, request],
    { maxBuffer: 2 ** 26 },
  );
  const rows = JSON.parse(stdout) as Row[];
  report.table('overhead', 'host work of a step: gpujs:webgpu on a null device', COLUMNS, rows);
}
