/** Which version of selscan this is. */

import { readFileSync } from 'node:fs';

/** The version in package.json, one folder up from lib/ or from dist/lib/. */
export function packageVersion(): string {
  for (const up of ['../../', '../../../']) {
    try {
      const text = readFileSync(new URL(`${up}package.json`, import.meta.url), 'utf8');
      return (JSON.parse(text) as { version: string }).version;
    } catch {
      // one folder further up
    }
  }
  return 'unknown';
}
