/** How much memory a process may still take: the machine's, or its container's where that is less. */

import { readFile } from 'node:fs/promises';
import { freemem, totalmem } from 'node:os';

/** Where control groups say what theirs uses, files in its cache among it: version 2, then version 1. */
const GROUPS = [
  { folder: '/sys/fs/cgroup', current: 'memory.current' },
  { folder: '/sys/fs/cgroup/memory', current: 'memory.usage_in_bytes' },
] as const;

/** Bytes. What only caches files counts as free. */
export async function freeMemory(): Promise<number> {
  const limit = process.constrainedMemory();
  if (!(limit > 0 && limit < totalmem())) return freemem();
  for (const { folder, current } of GROUPS) {
    const read = (name: string) => readFile(`${folder}/${name}`, 'utf8').catch(() => undefined);
    const [used, statistics] = [await read(current), await read('memory.stat')];
    if (used === undefined || statistics === undefined) continue;
    const cached = /^(?:total_)?inactive_file (\d+)$/m.exec(statistics)?.[1] ?? 0;
    return Math.min(freemem(), Math.max(limit - Number(used) + Number(cached), 0));
  }
  return Math.min(freemem(), limit - process.memoryUsage.rss());
}
