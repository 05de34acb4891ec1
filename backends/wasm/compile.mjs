/**
 * Compiles the AssemblyScript kernels into modules that hold their bytes: one build with plain SIMD and one with relaxed
 * SIMD (fused multiply-add, int8 dot products), each for memory that threads share and for memory that they do not.
 *
 * Does nothing where the builds are newer than the sources. Run by `npm ci` (prepare) and before every npm script.
 */

import { existsSync, mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, 'compiled');
const builds = ['plain', 'relaxed'].flatMap((simd) =>
  ['Shared', 'Alone'].map((memory) => ({ simd, memory, name: `${simd}${memory}` })),
);

const sources = [
  ...readdirSync(join(here, 'assembly'), { recursive: true }).map((name) =>
    join(here, 'assembly', name),
  ),
  join(here, 'abi.ts'),
  ...['Layers', 'Recurrences', 'Attention'].map((name) => join(here, `training/abi${name}.ts`)),
  fileURLToPath(import.meta.url),
];
const newest = Math.max(...sources.map((path) => statSync(path).mtimeMs));
const pathOf = (name) => join(out, `${name}.ts`);
const isFresh = ({ name }) => existsSync(pathOf(name)) && statSync(pathOf(name)).mtimeMs > newest;

if (!builds.every(isFresh)) await compileAll();

async function compileAll() {
  const { main } = await import('assemblyscript/asc');
  mkdirSync(out, { recursive: true });
  for (const { simd, memory, name } of builds) {
    let bytes;
    const { error, stderr } = await main(
      [
        ...[join(here, 'assembly/index.ts'), '--outFile', 'kernels.wasm'],
        ...['-O3', '--noAssert', '--runtime', 'stub', '--importMemory', '--disableWarning', '201'],
        ...['--initialMemory', '1', '--maximumMemory', '65536'],
        ...[
          '--enable',
          'simd,threads',
          ...(simd === 'relaxed' ? ['--enable', 'relaxed-simd'] : []),
        ],
        ...(memory === 'Shared' ? ['--sharedMemory'] : []),
      ],
      {
        writeFile: (file, contents) => {
          if (file.endsWith('.wasm')) bytes = contents;
        },
      },
    );
    if (error) throw new Error(`kernels (${name}): ${stderr.toString() || error.message}`);
    const text = `/** Made by compile.mjs. */\nexport const wasm =\n  '${Buffer.from(bytes).toString('base64')}';\n`;
    writeFileSync(`${pathOf(name)}.part`, text);
    renameSync(`${pathOf(name)}.part`, pathOf(name));
  }
}
