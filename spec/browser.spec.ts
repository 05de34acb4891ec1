/** The quickstart of examples/browser, built as its reader would build it, in a real browser. */

import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, extname, join } from 'node:path';
import { chromium } from 'playwright';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { path, TINY_STORIES, temporaryFolder } from './support.ts';

const CHROMIUM = process.env.SELSCAN_CHROMIUM ?? '/usr/bin/chromium';
const isInstalled = existsSync(CHROMIUM);
const isExpected = (process.env.SELSCAN_EXPECT ?? '').includes('chromium');

const TYPES: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript' };

/** Lays the example and the package side by side as an install does, with dist made from this checkout. */
function installExample(folder: string): void {
  cpSync(path('examples/browser'), folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const installed = join(folder, 'node_modules/selscan');
  mkdirSync(installed, { recursive: true });
  cpSync(path('package.json'), join(installed, 'package.json'));
  const tsc = path('node_modules/typescript/bin/tsc');
  const outDir = join(installed, 'dist');
  execFileSync(process.execPath, [tsc, '-p', path('tsconfig.build.json'), '--outDir', outDir]);
  const { dependencies } = JSON.parse(readFileSync(path('package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  for (const name of Object.keys(dependencies)) {
    const link = join(folder, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(path('node_modules', name), link);
  }
}

/** A page that decodes in a Web Worker, and hears of what is wrong. */
const ENGINE_PAGE = `
import { ConfigError, createEngine } from 'selscan';

globalThis.decode = async (files) => {
  const engine = await createEngine(
    new Map(files.map(([name, bytes]) => [name, Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))])),
  );
  let text = '';
  for await (const event of engine.generate([''], { maxTokens: 30, temperature: 0 })) {
    if (event.kind === 'token') text += event.text;
  }
  const error = await engine.generate([[999]]).next().catch((error) => error);
  const unknown = await createEngine({}).catch((error) => error);
  await engine.close();
  return [engine.info.worker, text, error instanceof ConfigError, error.code, unknown.code];
};
`;

/** Serves the files of a folder on 127.0.0.1, and nothing else. */
async function serve(folder: string): Promise<string> {
  const names = readdirSync(folder, { recursive: true }).map((name) => `/${name}`);
  const server = createServer(({ url = '/' }, response) => {
    const name = url === '/' ? '/index.html' : url;
    const type = TYPES[extname(name)];
    if (!type || !names.includes(name)) response.writeHead(404).end();
    else response.writeHead(200, { 'content-type': type }).end(readFileSync(join(folder, name)));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  afterAll(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

describe('the browser quickstart', () => {
  if (!isInstalled && !isExpected) {
    it.skip('writes a story in the browser (chromium is not installed)', () => {});
    return;
  }
  const folder = temporaryFolder();
  let url: string;

  beforeAll(async () => {
    expect(isInstalled, `chromium is expected at ${CHROMIUM}`).toBe(true);
    installExample(folder);
    writeFileSync(join(folder, 'engine.html'), '<script type="module" src="./engine.ts"></script>');
    writeFileSync(join(folder, 'engine.ts'), ENGINE_PAGE);
    await build({
      root: folder,
      configFile: join(folder, 'vite.config.ts'),
      mode: 'production',
      logLevel: 'error',
      build: {
        rollupOptions: { input: ['index.html', 'engine.html'].map((name) => join(folder, name)) },
      },
    });
    url = await serve(join(folder, 'dist'));
  });

  it('writes a story from the files of a model, without errors and without leaving the machine', async () => {
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
    try {
      const page = await browser.newPage();
      const [problems, elsewhere]: [string[], string[]] = [[], []];
      page.on('console', (message) => {
        if (['error', 'warning'].includes(message.type())) problems.push(message.text());
      });
      page.on('pageerror', (error) => problems.push(error.message));
      page.on('requestfailed', (request) => problems.push(`failed: ${request.url()}`));
      page.on('request', (request) => {
        if (!/^(data|blob):/.test(request.url()) && !request.url().startsWith(url)) {
          elsewhere.push(request.url());
        }
      });
      await page.goto(url);
      const globals = await page.evaluate(() => Object.keys(globalThis));
      expect(globals.filter((name) => /selscan|model|generate/i.test(name))).toEqual([]);
      await page.setInputFiles(
        '#files',
        readdirSync(TINY_STORIES).map((name) => join(TINY_STORIES, name)),
      );
      await page.waitForSelector('#files:enabled', { timeout: 60_000 });
      expect(await page.textContent('#status')).toBe('done');
      expect(await page.textContent('#text')).toContain(
        'Once upon a time, there was a little girl named Lily.',
      );
      expect(problems).toEqual([]);
      expect(elsewhere).toEqual([]);
    } finally {
      await browser.close();
    }
  });

  it('decodes in a Web Worker of a bundled page, and errors keep their class', async () => {
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
    try {
      const page = await browser.newPage();
      const problems: string[] = [];
      page.on('pageerror', (error) => problems.push(error.message));
      await page.goto(`${url}engine.html`);
      const files = readdirSync(TINY_STORIES)
        .filter((name) => /\.(json|safetensors)$/.test(name))
        .map((name) => [name, readFileSync(join(TINY_STORIES, name)).toString('base64')]);
      const said = await page.evaluate(
        (given) => (globalThis as unknown as { decode(files: unknown): unknown }).decode(given),
        files,
      );
      expect(said).toEqual([
        'selscan-engine-1',
        expect.stringMatching(/^Once upon a time, there was/),
        true,
        'TokenRange',
        'NotFound',
      ]);
      expect(problems).toEqual([]);
    } finally {
      await browser.close();
    }
  });
});
