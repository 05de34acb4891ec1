/** `npm run standins`: published models with random weights, as folders. */

import { mkdir, open, statfs, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { flushFolder, writeFolder } from '../../lib/checkpoint/nodeFiles.ts';
import { errorLine, formatBytes } from '../../lib/cli/terminal.ts';
import { parametersOf } from '../realModels.ts';
import { STANDINS } from './catalogue.ts';
import { layOut, type StandinLayout } from './layout.ts';
import { shardPieces } from './numbers.ts';

const USAGE = `npm run standins -- NAME [OUT] [options]   without a name: what there is
  NAME         of ${Object.keys(STANDINS).join(', ')}
  OUT          the folder to make; default: standins/NAME
  --seed N     of the weights; default: 1
  --headers    files of the right size whose numbers are holes that read as zeros: enough for inspect
  --overwrite  replaces a model's folder`;

/** What stays free on the disk. */
const SPARE_BYTES = 1e9;

interface Flags {
  seed: number;
  headers: boolean;
  overwrite: boolean;
}

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seed: { type: 'string', default: '1' },
      headers: { type: 'boolean', default: false },
      overwrite: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const [name, out = join('standins', name ?? '')] = positionals;
  const seed = Number(values.seed);
  if (values.help) process.stdout.write(`${USAGE}\n`);
  else if (name === undefined) await list();
  else if (!Object.hasOwn(STANDINS, name)) fail(`NAME: expected one of those below, got ${name}`);
  else if (!Number.isSafeInteger(seed)) fail(`--seed: expected a whole number, got ${values.seed}`);
  else await make(name, resolve(out), { ...values, seed });
} catch (error) {
  process.stderr.write(`${errorLine(error)}\n`);
  process.exitCode = 2;
}

function fail(problem: string): void {
  process.stderr.write(`standins: ${problem}\n${USAGE}\n`);
  process.exitCode = 2;
}

async function list(): Promise<void> {
  for (const [name, standin] of Object.entries(STANDINS)) {
    const { size, shards, description } = await layOut(standin);
    const files = shards.length === 1 ? '1 file' : `${shards.length} files`;
    const parameters = `${(parametersOf(description.config) / 1e9).toFixed(2)}B`;
    const facts = `${parameters}, ${formatBytes(size)} of ${standin.dtype} in ${files}`;
    const caveat = standin.caveat ? `; ${standin.caveat}` : '';
    process.stdout.write(`${name.padEnd(16)} ${standin.repository}: ${facts}${caveat}\n`);
  }
}

async function make(name: string, folder: string, flags: Flags): Promise<void> {
  const layout = await layOut(STANDINS[name]);
  const start = performance.now();
  if (flags.headers) await writeHeaders(folder, layout);
  else await writeAll(folder, layout, flags);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  process.stdout.write(`${folder}: ${formatBytes(layout.size)} in ${seconds} s\n`);
}

async function writeAll(
  folder: string,
  { texts, shards, size, description }: StandinLayout,
  { seed, overwrite }: Flags,
): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  const { bavail, bsize } = await statfs(dirname(folder));
  if (bavail * bsize < size + SPARE_BYTES) {
    throw Object.assign(
      new Error(
        `${folder}: expected ${formatBytes(size + SPARE_BYTES)} free, got ${formatBytes(bavail * bsize)}; ` +
          'choose another disk, or --headers',
      ),
      { code: 'ENOSPC' },
    );
  }
  const files = [...texts].map(([name, text]) => ({ name, pieces: () => [text] }));
  const weights = shards.map((shard) => ({
    name: shard.name,
    pieces: () => shardPieces(shard, description.config, seed),
  }));
  await writeFolder(folder, [...files, ...weights], overwrite);
}

/** Files that take no room: their headers, then nothing up to their size. */
async function writeHeaders(folder: string, { texts, shards }: StandinLayout): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  await mkdir(folder);
  for (const [name, text] of texts) await writeFile(join(folder, name), text, { flag: 'wx' });
  for (const { name, header, size } of shards) {
    const file = await open(join(folder, name), 'wx');
    try {
      await file.write(header);
      await file.truncate(size);
    } finally {
      await file.close();
    }
  }
  await flushFolder(folder);
}
