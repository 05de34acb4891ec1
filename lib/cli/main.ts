#!/usr/bin/env node
/** The command line: `selscan COMMAND …`. Exit code 0, 1 (a check failed) or 2 (bad usage or input). */

import { Command, CommanderError } from 'commander';
import { SelscanError } from '../../reference/errors.ts';
import { addAggregate } from './aggregate.ts';
import type { Context } from './context.ts';
import { addDemo } from './demo.ts';
import { addDistil } from './distil.ts';
import { addExperiment } from './experiment.ts';
import { addExplain } from './explain.ts';
import { addGenerate } from './generate.ts';
import { addInspect } from './inspect.ts';
import { addJudge } from './judge.ts';
import { addOracle } from './oracle.ts';
import { packageVersion } from './packageVersion.ts';
import { addReport } from './report.ts';
import { addReward } from './reward.ts';
import { addScale } from './scale.ts';
import { addScore } from './score.ts';
import { addTasks } from './tasks.ts';
import { errorLine, isExpected, processTerminal } from './terminal.ts';
import { addTrain } from './train.ts';
import { addVerify } from './verify.ts';

function createProgram(context: Context): Command {
  const program = new Command('selscan')
    .description('learn how selective state-space models decode, and run them')
    .version(packageVersion())
    .option('--debug', 'show where an error came from')
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
    .configureOutput({ writeErr: () => {}, outputError: () => {} });
  const decoding = [addGenerate, addScore];
  const checking = [addOracle, addVerify, addExplain, addInspect];
  const training = [addTasks, addTrain, addDistil, addReward, addJudge];
  const reasoning = [addScale, addAggregate, addReport, addExperiment];
  const add = [...decoding, ...checking, ...training, ...reasoning, addDemo];
  for (const addCommand of add) addCommand(program, context);
  for (const command of program.commands) {
    command.exitOverride().configureOutput({ writeErr: () => {}, outputError: () => {} });
  }
  return program;
}

/** Runs one command line and returns the exit code. */
async function main(args: readonly string[]): Promise<number> {
  const terminal = processTerminal();
  const abort = new AbortController();
  process.once('SIGINT', () => {
    abort.abort();
    process.once('SIGINT', () => process.exit(130));
  });
  let exitCode = 0;
  const context: Context = {
    terminal,
    signal: abort.signal,
    fail: (code = 1) => {
      exitCode = Math.max(exitCode, code);
    },
  };
  const program = createProgram(context);
  const isDebug = args.includes('--debug');
  try {
    await program.parseAsync(args, { from: 'user' });
    return abort.signal.aborted ? 130 : exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0; // help or version was shown
      const message = error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ');
      const isBare = error.code === 'commander.help'; // no command at all
      terminal.err(isBare ? program.helpInformation() : `error Usage: ${message}; see --help\n`);
      return 2;
    }
    if (error instanceof SelscanError && error.code === 'Aborted') return 130;
    terminal.err(isDebug && error instanceof Error ? `${error.stack}\n` : `${errorLine(error)}\n`);
    if (!isExpected(error) && !isDebug)
      terminal.err('this is a bug in selscan; --debug shows where\n');
    return isExpected(error) ? 2 : 70;
  }
}

process.exitCode = await main(process.argv.slice(2));
