/**
 * Runs other people's kernels in a process of their own, so that one that never ends can be ended and one that
 * crashes takes nothing with it. Answers each request with the outputs, and with the inputs as the kernel left
 * them.
 */

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { opsAmong } from './subject.ts';

export interface KernelRequest {
  readonly id: number;
  readonly op: string;
  readonly input: unknown;
}

export type KernelReply =
  | { readonly ready: readonly string[]; readonly exports: readonly string[] }
  | { readonly broken: string; readonly code?: string }
  | { readonly id: number; readonly output: unknown; readonly input: unknown }
  | { readonly id: number; readonly error: string };

const path = process.argv[2];

function send(reply: KernelReply): void {
  process.send?.(reply);
}

async function load(): Promise<Record<string, unknown>> {
  const url = pathToFileURL(path).href;
  if (!/\.[cm]?ts$/.test(path)) return import(/* @vite-ignore */ url);
  const tsx = findTsx();
  if (!tsx) throw Object.assign(new Error('tsx'), { code: 'NoTsx' });
  const { tsImport } = (await import(/* @vite-ignore */ tsx)) as {
    tsImport(url: string, parent: string): Promise<Record<string, unknown>>;
  };
  return tsImport(url, import.meta.url);
}

/** tsx's API, beside the kernel or beside this package. */
function findTsx(): string | undefined {
  for (const from of [pathToFileURL(path).href, import.meta.url]) {
    try {
      // require finds the CommonJS form; the module form stands beside it
      const found = createRequire(from)
        .resolve('tsx/esm/api')
        .replace(/\.cjs$/, '.mjs');
      return pathToFileURL(found).href;
    } catch {
      // not there
    }
  }
  return undefined;
}

const describe = (error: unknown) =>
  error instanceof Error ? `${error.name}: ${error.message}` : String(error);

async function serve(): Promise<void> {
  const loaded = await load();
  // a CommonJS module is its own default
  const inner = loaded.default;
  const kernels = { ...(typeof inner === 'object' ? (inner as object) : {}), ...loaded } as Record<
    string,
    unknown
  >;
  const names = Object.keys(kernels).filter((name) => typeof kernels[name] === 'function');
  process.on('message', async ({ id, op, input }: KernelRequest) => {
    try {
      const output = await (kernels[op] as (input: unknown) => unknown)(input);
      try {
        send({ id, output, input });
      } catch {
        send({ id, error: 'gave back something that is no plain data' });
      }
    } catch (error) {
      send({ id, error: `threw ${describe(error)}` });
    }
  });
  send({ ready: opsAmong(names), exports: names });
}

// whoever asked is gone
process.on('disconnect', () => process.exit());

serve().catch((error: unknown) => {
  const { code } = error as { code?: string };
  send({ broken: describe(error), ...(code && { code }) });
});
