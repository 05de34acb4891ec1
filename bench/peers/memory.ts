/** How much memory a process has had at most. */

import { readFileSync } from 'node:fs';

/** VmHWM in bytes, where the system is Linux. */
export function peakBytes(pid: number | 'self'): number | undefined {
  try {
    const kilobytes = /VmHWM:\s*(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kilobytes === undefined ? undefined : 1024 * Number(kilobytes);
  } catch {
    return undefined; // not Linux
  }
}
