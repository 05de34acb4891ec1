/** The tarball: what is in it, and that it works in a project that has nothing else. */

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { publint } from 'publint';
import { beforeAll, describe, expect, it } from 'vitest';
import { path, temporaryFolder } from './support.ts';

interface Manifest {
  version: string;
  exports: Record<string, unknown>;
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
}

interface LockEntry {
  version?: string;
  resolved?: string;
  integrity?: string;
  link?: boolean;
  dev?: boolean;
  optional?: boolean;
  hasInstallScript?: boolean;
}

/** Development tools whose install scripts are known: esbuild (by tsx) checks its binary, fsevents is for macOS. */
// webgpu's removes a quarantine mark on macOS and does nothing elsewhere
const MAY_HAVE_INSTALL_SCRIPT = [
  'node_modules/esbuild',
  'node_modules/fsevents',
  'node_modules/webgpu',
];

const SHIPPED = [
  /^dist\/(reference|backends|lib)\/[\w/]+(\.d\.ts|\.js)$/,
  /^fixtures\/models\/[\w.-]+\/[\w.-]+$/,
  /^fixtures\/fonts\/(DejaVuSans\.ttf|LICENSE|README\.md)$/,
  /^(reference\/README\.md|README\.md|LICENSE|CHANGELOG\.md|package\.json)$/,
];

const NEEDED = [
  'LICENSE',
  'README.md',
  'CHANGELOG.md',
  'package.json',
  'reference/README.md',
  'dist/lib/index.js',
  'dist/lib/index.d.ts',
  'dist/lib/cli/main.js',
  'dist/lib/decode/worker/nodeWorker.js',
  'dist/lib/decode/worker/webWorker.js',
  'fixtures/fonts/DejaVuSans.ttf',
  'fixtures/fonts/LICENSE',
  'fixtures/models/tinystories-260k/model.safetensors',
];

const readJson = <Content>(...parts: string[]) =>
  JSON.parse(readFileSync(join(...parts), 'utf8')) as Content;

function run(command: string, args: readonly string[], cwd: string): string {
  const env = { ...process.env, NO_COLOR: '1' };
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    env,
    encoding: 'utf8',
  });
  if (status === 0) return stdout;
  const said = error?.message ?? `exit code ${status}\n${stdout}${stderr}`;
  throw new Error(`${command} ${args.join(' ')}: ${said}`);
}

const manifest = readJson<Manifest>(path('package.json'));
const subpaths = Object.keys(manifest.exports);

describe('the tarball', () => {
  const packed = temporaryFolder();
  const project = temporaryFolder();
  const installed = join(project, 'node_modules/selscan');
  let tarball: string;
  let contents: string[];

  beforeAll(() => {
    run('npm', ['run', '-s', 'build'], path('.'));
    const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', packed];
    const [result] = JSON.parse(run('npm', args, path('.'))) as [
      { filename: string; files: { path: string }[] },
    ];
    tarball = join(packed, result.filename);
    contents = result.files.map((file) => file.path);
    writeFileSync(join(project, 'package.json'), '{"private":true,"type":"module"}');
    const install = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline'];
    run('npm', [...install, tarball], project);
  });

  it('holds the compiled code, the demo models and the documents, and nothing else', () => {
    const others = contents.filter((name) => !SHIPPED.some((pattern) => pattern.test(name)));
    expect(others).toEqual([]);
    expect(NEEDED.filter((name) => !contents.includes(name))).toEqual([]);
  });

  it.each(subpaths)('can be imported as %s', (subpath) => {
    const name = subpath.replace(/^\./, 'selscan');
    const options = subpath.endsWith('.json') ? ", { with: { type: 'json' } }" : '';
    const script = `console.log(Object.keys(await import('${name}'${options})).length)`;
    const names = Number(run('node', ['--input-type=module', '-e', script], project));
    expect(names).toBeGreaterThan(0);
  });

  it('has a command that knows its version', () => {
    const version = run('npx', ['--no-install', 'selscan', '--version'], project);
    expect(version.trim()).toBe(manifest.version);
  });

  it('has a command that writes a story with the model that comes along', () => {
    const model = 'node_modules/selscan/fixtures/models/tinystories-260k';
    const options = ['--prompt', '', '--max-tokens', '20', '--temperature', '0', '--json'];
    const args = ['--no-install', 'selscan', 'generate', '--model', model, ...options];
    const events = run('npx', args, project)
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { text?: string });
    expect(events.some(({ text }) => text?.startsWith('Once upon a time'))).toBe(true);
  });

  it('has an engine that runs in a worker, with errors that keep their class', () => {
    const script = `
      import { ConfigError, createEngine } from 'selscan';
      const engine = await createEngine('node_modules/selscan/fixtures/models/tinystories-260k');
      let text = '';
      for await (const event of engine.generate([''], { maxTokens: 12, temperature: 0 }))
        if (event.kind === 'token') text += event.text;
      const error = await engine.generate([[999]]).next().catch((error) => error);
      console.log(JSON.stringify([engine.info.worker, text, error instanceof ConfigError, error.code]));`;
    const said = JSON.parse(run('node', ['--input-type=module', '-e', script], project));
    expect(said).toEqual([
      'selscan-engine-1',
      expect.stringMatching(/^Once upon a time/),
      true,
      'TokenRange',
    ]);
  });

  it('has types that resolve as NodeNext and as a bundler resolves them, in every subpath', () => {
    mkdirSync(join(project, 'types'));
    const code = subpaths
      .filter((subpath) => !subpath.endsWith('.json'))
      .map((subpath, i) => `export * as part${i} from '${subpath.replace(/^\./, 'selscan')}';`);
    const quickstart = [
      "import { generate, loadModel } from 'selscan';",
      "for await (const event of generate(await loadModel('model'), ['Once']))",
      '  event.kind satisfies string;',
    ];
    writeFileSync(join(project, 'types/consumer.ts'), [...quickstart, ...code].join('\n'));
    const tsc = path('node_modules/typescript/bin/tsc');
    const common = '--noEmit --strict --skipLibCheck false --target es2022 --lib es2022,dom';
    for (const modules of [
      '--module nodenext --moduleResolution nodenext',
      '--module esnext --moduleResolution bundler',
    ]) {
      const args = [...modules.split(' '), ...common.split(' '), 'types/consumer.ts'];
      run('node', [tsc, ...args], project);
    }
  });

  it('passes publint', async () => {
    const { messages } = await publint({ pkgDir: installed, pack: false, strict: true });
    expect(messages.filter(({ type }) => type !== 'suggestion')).toEqual([]);
  });

  it('runs nothing when it is installed', () => {
    const { scripts } = readJson<Manifest>(installed, 'package.json');
    const hooks = ['preinstall', 'install', 'postinstall'];
    expect(hooks.filter((hook) => hook in scripts)).toEqual([]);
  });
});

describe('the lock file', () => {
  const { packages } = readJson<{ packages: Record<string, LockEntry> }>(path('package-lock.json'));
  const entries = Object.entries(packages).filter(([name]) => name !== '');

  it('takes every package from the npm registry, with its hash', () => {
    // an entry without `resolved` is the registry's tarball of that version
    const isFromRegistry = ({ version, resolved, integrity, link }: LockEntry) =>
      !link &&
      /^\d+\.\d+\.\d+/.test(version ?? '') &&
      integrity?.startsWith('sha512-') &&
      (resolved === undefined || resolved.startsWith('https://registry.npmjs.org/'));
    expect(entries.length).toBeGreaterThan(0);
    expect(entries.filter(([, entry]) => !isFromRegistry(entry))).toEqual([]);
  });

  it('has every dependency of package.json', () => {
    const missing = Object.keys(manifest.dependencies).filter(
      (name) => !packages[`node_modules/${name}`] || packages[`node_modules/${name}`]?.dev,
    );
    expect(missing).toEqual([]);
  });

  it('has no package that runs code when it is installed, apart from known development tools', () => {
    const running = entries.filter(([, { hasInstallScript }]) => hasInstallScript);
    const unknown = running.filter(
      ([name, { dev }]) => !dev || !MAY_HAVE_INSTALL_SCRIPT.includes(name),
    );
    expect(unknown.map(([name]) => name)).toEqual([]);
  });
});
