import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const chromium = process.env.SELSCAN_CHROMIUM ?? '/usr/bin/chromium';
const expected = (process.env.SELSCAN_EXPECT ?? '').split(',');
/** Debian's chromium brings a Vulkan driver that runs on any CPU: WebGPU in Node uses it where no other is set. */
const swiftshader = '/usr/lib/chromium/vk_swiftshader_icd.json';
const { VK_ICD_FILENAMES = swiftshader, XDG_RUNTIME_DIR = tmpdir() } = process.env;
const softwareVulkan = { VK_ICD_FILENAMES, XDG_RUNTIME_DIR };
if (expected.includes('chromium') && !existsSync(chromium)) {
  throw new Error(`SELSCAN_EXPECT names chromium, which is not at ${chromium}`);
}

export default defineConfig({
  resolve: {
    // examples in the documentation import the package by its name
    alias: [
      { find: /^selscan$/, replacement: here('lib/index.ts') },
      { find: /^selscan\/reference$/, replacement: here('reference/index.ts') },
      {
        find: /^selscan\/(checkpoint|distil|figures|reasoning|report|reward|tasks|tokenizer|train|verify)$/,
        replacement: here('lib/$1/index.ts'),
      },
      // what spec/browser/build.ts makes of spec/browser/minified.ts
      { find: /^minified$/, replacement: here('.cache/minified/minified.js') },
    ],
  },
  test: {
    testTimeout: 120_000,
    hookTimeout: 180_000,
    maxWorkers: 2,
    reporters: ['default', './spec/reporter.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'node',
          include: ['spec/*.spec.ts'],
          pool: 'forks',
          env: existsSync(swiftshader) ? softwareVulkan : {},
        },
      },
      ...(existsSync(chromium)
        ? [
            {
              extends: true as const,
              // memory may be shared among threads only on a page that nothing foreign can reach
              server: {
                headers: {
                  'Cross-Origin-Opener-Policy': 'same-origin',
                  'Cross-Origin-Embedder-Policy': 'require-corp',
                },
              },
              test: {
                name: 'chromium',
                include: ['spec/browser/*.spec.ts'],
                globalSetup: ['spec/browser/build.ts'],
                browser: {
                  enabled: true,
                  headless: true,
                  screenshotFailures: false,
                  provider: playwright({
                    launchOptions: {
                      executablePath: chromium,
                      args: ['--no-sandbox', '--enable-unsafe-webgpu'],
                    },
                  }),
                  instances: [{ browser: 'chromium' as const }],
                },
              },
            },
          ]
        : []),
    ],
  },
});
