/** Builds the kernels as a page ships them, minified, before the browser specs import them. */

import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default async function setup(): Promise<void> {
  await build({
    configFile: false,
    logLevel: 'error',
    build: {
      lib: { entry: here('minified.ts'), formats: ['es'], fileName: 'minified' },
      outDir: here('../../.cache/minified'),
      emptyOutDir: true,
      target: 'es2022',
      minify: true,
    },
  });
}
