/** `selscan oracle`: runs golden cases, for anyone who has inputs and wants the true outputs. */

import { readdir, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { openBackend as openDevice } from '../../backends/index.ts';
import type { Backend } from '../../backends/types.ts';
import { ConfigError } from '../../reference/errors.ts';
import type { Model } from '../../reference/model.ts';
import { loadOn } from '../backend.ts';
import { writeAtomically } from '../checkpoint/atomicFile.ts';
import { filesFromFolder, openRegular } from '../checkpoint/nodeFiles.ts';
import { encodeSafetensors, TensorFile } from '../checkpoint/tensorFile.ts';
import { runOnOps } from '../referenceOps.ts';
import { GoldenCase } from '../verify/golden/case.ts';
import { runCase } from '../verify/golden/run.ts';
import { type Context, checkBackend } from './context.ts';
import { errorLine, systemCode } from './terminal.ts';

interface Flags {
  out: string;
  backend: string;
  json?: boolean;
}

export function addOracle(program: Command, context: Context): void {
  program
    .command('oracle')
    .description('run golden cases of ops and models, and write their outputs')
    .argument('<path>', 'a case file, or a folder that is searched for them')
    .requiredOption('--out <dir>', 'where a file of the same relative path is written for each')
    .addOption(new Option('--backend <name>', 'what computes').default('reference'))
    .option('--json', 'one JSON object per case, then a summary')
    .action((path: string, flags: Flags) => run(path, flags, context));
}

async function run(path: string, flags: Flags, context: Context): Promise<void> {
  checkBackend(flags.backend);
  const device = flags.backend === 'reference' ? undefined : await openDevice(flags.backend);
  try {
    await runAll(path, flags, context, device);
  } finally {
    await device?.close();
  }
}

async function runAll(
  path: string,
  flags: Flags,
  { terminal, signal, fail }: Context,
  device: Backend | undefined,
): Promise<void> {
  const isFolder = (await stat(path)).isDirectory();
  const root = isFolder ? path : dirname(path);
  if (resolve(flags.out) === resolve(root)) {
    throw new ConfigError(
      "out: expected another folder than the cases' own, which would be overwritten",
    );
  }
  const files = isFolder ? await findSafetensors(root, resolve(flags.out)) : [path];
  let passed = 0;
  let failed = 0;
  for (const file of files) {
    if (signal.aborted) break;
    const name = relative(root, file);
    const result = await runFile(file, join(flags.out, name), device);
    if (result === 'not a case') {
      if (isFolder) continue;
      throw new ConfigError(
        `${path}: expected a case with "op" or "family" in its metadata`,
        'NotACase',
      );
    }
    if (result.ok) passed++;
    else failed++;
    if (flags.json) terminal.out(`${JSON.stringify({ case: name, ...result })}\n`);
    else if (!result.ok) terminal.out(`${name}: ${result.error?.line}\n`);
  }
  if (passed + failed === 0) {
    throw new ConfigError(
      `${path}: expected at least one case (a .safetensors with "op" or "family" in its metadata), found none`,
      'NotACase',
    );
  }
  const summary = { passed, failed, backend: flags.backend, out: flags.out };
  if (flags.json) terminal.out(`${JSON.stringify({ summary })}\n`);
  else terminal.out(`${passed} cases written to ${flags.out}, ${failed} failed\n`);
  if (failed > 0) fail();
}

interface CaseResult {
  ok: boolean;
  op?: string;
  error?: { code: string; line: string };
}

async function runFile(
  path: string,
  out: string,
  device: Backend | undefined,
): Promise<CaseResult | 'not a case'> {
  let op: string | undefined;
  try {
    const file = await TensorFile.open(await openRegular(path));
    try {
      if (!GoldenCase.isCase(file)) return 'not a case';
      op = file.header.metadata.get('op') ?? file.header.metadata.get('family');
      const backend = device && {
        run: runOnOps(device.info.backend, device.ops),
        open: (model: Model) => loadOn(device, model),
      };
      const outputs = await runCase(file, {
        files: await filesFromFolder(dirname(path)),
        ...(backend && { backend }),
      });
      await writeAtomically(out, encodeSafetensors(outputs, { format: 'golden-1', op: op ?? '' }));
      return { ok: true, op };
    } finally {
      await file.close();
    }
  } catch (error) {
    const code = (error as { code?: string }).code ?? systemCode(error);
    return { ok: false, ...(op !== undefined && { op }), error: { code, line: errorLine(error) } };
  }
}

/** All .safetensors files below a folder, sorted; links and the output folder are left alone. */
async function findSafetensors(folder: string, out: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && resolve(path) !== out)
      found.push(...(await findSafetensors(path, out)));
    if (entry.isFile() && entry.name.endsWith('.safetensors')) found.push(path);
  }
  return found;
}
