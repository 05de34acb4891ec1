/** Backends that open here, and why the others do not. */

import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { openBackend } from '../backends/index.ts';
import type { Backend, BackendInfo } from '../backends/types.ts';
import { BackendError } from '../reference/errors.ts';
import { print } from './report.ts';

const SWIFTSHADER = '/usr/lib/chromium/vk_swiftshader_icd.json';

/** Opens backends by name; says which mode and device really run. The caller closes them. */
export async function openBackends(names: readonly string[]): Promise<Backend[]> {
  // a software Vulkan driver where nobody has chosen one
  if (existsSync(SWIFTSHADER)) process.env.VK_ICD_FILENAMES ??= SWIFTSHADER;
  process.env.XDG_RUNTIME_DIR ??= tmpdir();
  const opened: Backend[] = [];
  for (const name of names) {
    try {
      const backend = await openBackend(name);
      print(`${name}: runs as ${described(backend.info)}`);
      opened.push(backend);
    } catch (error) {
      if (!(error instanceof BackendError)) throw error;
      print(`${name}: not measured: ${error.message}`);
    }
  }
  return opened;
}

/** The mode that was found to run, and its device. */
export function described({ mode, adapter, fallback }: BackendInfo): string {
  const device = adapter ? ` on ${adapter}` : '';
  return `${mode}${device}${fallback ? `, a fallback: ${fallback}` : ''}`;
}
