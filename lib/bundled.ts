/** Files that come along with the package. */

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError } from '../reference/errors.ts';

/**
 * The path of a file of the package: one folder up from lib in a checkout, one more from dist/lib.
 * @throws ConfigError with code NotFound where the installation lacks it.
 */
export function bundled(file: string): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (let i = 0; i < 3; i++) {
    if (existsSync(join(folder, file))) return join(folder, file);
    folder = dirname(folder);
  }
  throw new ConfigError(
    `bundled: expected ${file} in the package; is the installation complete?`,
    'NotFound',
  );
}
