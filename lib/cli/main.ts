#!/usr/bin/env node
/** The command line: `selscan COMMAND …`. */

import { runCommandLine } from './commandLine.ts';
import { processTerminal } from './terminal.ts';

const abort = new AbortController();
process.once('SIGINT', () => {
  abort.abort();
  process.once('SIGINT', () => process.exit(130));
});
process.exitCode = await runCommandLine(process.argv.slice(2), {
  terminal: processTerminal(),
  signal: abort.signal,
});
