/** `npm run bench:peers`: ours against native llama.cpp on the same weights; compared, then timed, turn about. */

import { rmSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeGguf } from '../../lib/checkpoint/ggufWriter.ts';
import { randomModel } from '../realModels.ts';
import { currentSetting, print } from '../report.ts';
import { type Ceilings, measureCeilings } from './ceilingRun.ts';
import { installPeers } from './install.ts';
import { contextOf, playMatch } from './match.ts';
import { configOf, SEED } from './models.ts';
import { type PeerOptions, readOptions } from './options.ts';
import { drawPeers } from './plot.ts';
import type { Cell, Dtype } from './protocol.ts';
import { type Line, lineOf, printLine, TABLE_HEAD } from './table.ts';

const options = readOptions(process.argv.slice(2));
installPeers(options.sides);
const folder = new URL('../../.cache/peers/', import.meta.url).pathname;
await mkdir(folder, { recursive: true });
/** Half a gigabyte that must not be left behind by an interruption. */
let written: string | undefined;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    if (written) rmSync(written, { force: true });
    process.exit(130);
  });
}

const setting = currentSetting();
print(`${setting.machine}, Node ${setting.node}, commit ${setting.commit}, ${setting.date}`);
print(
  `ours: ${options.backend}${options.node ? ` on ${options.node}` : ''}; rounds: ${options.rounds}`,
);
print('Machines are shared: compare lines of one run, not runs.');
const ceilings = await measureCeilings(options);
printCeilings(ceilings);

const lines: Line[] = [];
let failed = 0;
for (const line of TABLE_HEAD) print(line);
for (const model of options.models) {
  for (const dtype of options.dtypes) await runModel(model, dtype);
}
print();
for (const info of new Set(
  lines.flatMap(({ sides }) => sides.map(({ info, node }) => `${info}, Node ${node}`)),
)) {
  print(info);
}
if (options.json)
  await save(options.json, JSON.stringify({ ...setting, options, ceilings, lines }, null, 1));
if (options.svg) await save(options.svg, drawPeers(lines, setting));
// with a loader, a promise that nobody waits for would keep the process
process.exit(failed === 0 ? 0 : 1);

/** All matches with one file of weights, which is written before and deleted afterwards. */
async function runModel(model: string, dtype: Dtype): Promise<void> {
  const config = configOf({ model, layers: options.layers });
  const file = join(folder, `${model}-${dtype}-${process.pid}.gguf`);
  try {
    if (options.sides.includes('llama.cpp')) {
      written = file;
      await writeGguf(file, randomModel(config, SEED), { dtype: dtype === 'f32' ? 'F32' : 'Q8_0' });
    }
    for (const threads of options.threads) {
      for (const cell of cellsOf(model, dtype, threads, options)) await runCell(cell, file);
    }
  } finally {
    await rm(file, { force: true });
  }
}

interface Planned {
  readonly cell: Cell;
  /** Tokens of a prompt that is taken in; absent where tokens are decoded. */
  readonly prefill?: number;
}

function cellsOf(model: string, dtype: Dtype, threads: number, wanted: PeerOptions): Planned[] {
  const common = { model, layers: wanted.layers, dtype, threads };
  const decoding = wanted.batches.map((batch) => ({
    cell: {
      ...{ ...common, batch, context: contextOf(batch, wanted.rounds) },
      ...(wanted.peerBatch && { batchTokens: Math.max(batch, wanted.peerBatch) }),
    },
  }));
  const prefills = wanted.prefill.map((length) => ({
    cell: { ...common, batch: 1, context: length + 2, batchTokens: length },
    prefill: length,
  }));
  return [...decoding, ...prefills];
}

async function runCell({ cell, prefill }: Planned, file: string): Promise<void> {
  const { backend, sides, rounds, seconds, node, flags } = options;
  try {
    const ours = { node, flags };
    const result = await playMatch(cell, { file, backend, sides, rounds, seconds, ours }, prefill);
    const line = lineOf(cell, prefill, result, ceilings);
    lines.push(line);
    printLine(line);
  } catch (error) {
    failed++;
    const { model, dtype, batch, threads } = cell;
    const problem = error instanceof Error ? error.message : String(error);
    print(
      `| ${model} | ${dtype} | ${prefill ? `prefill ${prefill}` : batch} | ${threads} | failed: ${problem} |`,
    );
  }
}

function printCeilings({ node, byThreads, sizes }: Ceilings): void {
  for (const { threads, read, multiplyThenAdd, fusedMultiplyAdd } of byThreads) {
    const fused = fusedMultiplyAdd ? ` (${(fusedMultiplyAdd / 1e9).toFixed(0)} fused)` : '';
    print(
      `ceiling of ${threads} thread${threads > 1 ? 's' : ''}: read ${(read / 1e9).toFixed(1)} GB/s, ` +
        `128-bit multiply and add ${(multiplyThenAdd / 1e9).toFixed(0)} GFLOP/s${fused}; WebAssembly, Node ${node}`,
    );
  }
  for (const [model, parameters] of Object.entries(sizes)) {
    print(`${model}: ${(parameters / 1e6).toFixed(1)} M parameters`);
  }
}

async function save(path: string, content: string): Promise<void> {
  await writeFile(path, `${content}\n`);
  print(`written: ${path}`);
}
