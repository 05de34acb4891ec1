/** The peers are installed when they are first asked for: nobody's `npm ci` fetches them. */

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Who } from './protocol.ts';

const folder = fileURLToPath(new URL('.', import.meta.url));

/** Runs `npm ci` in bench/peers where that has not been done, and says so. No package's script is run. */
export function installPeers(sides: readonly Who[]): void {
  if (!sides.includes('llama.cpp')) return;
  if (existsSync(`${folder}node_modules/node-llama-cpp/package.json`)) return;
  process.stderr.write(
    'bench:peers: installing node-llama-cpp and Node 24 in bench/peers (300 MB)\n',
  );
  execFileSync('npm', ['ci', '--prefix', folder], { stdio: ['ignore', 'ignore', 'inherit'] });
}
