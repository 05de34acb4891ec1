import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    // examples in the documentation import the package by its name
    alias: [
      { find: /^selscan$/, replacement: here('lib/index.ts') },
      { find: /^selscan\/reference$/, replacement: here('reference/index.ts') },
      { find: /^selscan\/(checkpoint|tokenizer|verify)$/, replacement: here('lib/$1/index.ts') },
    ],
  },
  test: {
    dir: 'spec',
    include: ['**/*.spec.ts'],
    testTimeout: 120_000,
    hookTimeout: 180_000,
    pool: 'forks',
    maxWorkers: 2,
    reporters: ['default', './spec/reporter.ts'],
  },
});
