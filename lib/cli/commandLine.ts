/** One command line from its arguments to its exit code: 0, 1 (a check failed) or 2 (bad usage or input). */

import { Command, CommanderError } from 'commander';
import { SelscanError } from '../../reference/errors.ts';
import type { Context } from './context.ts';
import { packageVersion } from './packageVersion.ts';
import { errorLine, isExpected, type Terminal } from './terminal.ts';

type AddCommand = (program: Command, context: Context) => void;

/** In the order of the help. Each is loaded when it is asked for: nobody waits for what they do not use. */
const COMMANDS: Record<string, () => Promise<AddCommand>> = {
  generate: async () => (await import('./generate.ts')).addGenerate,
  score: async () => (await import('./score.ts')).addScore,
  oracle: async () => (await import('./oracle.ts')).addOracle,
  verify: async () => (await import('./verify.ts')).addVerify,
  explain: async () => (await import('./explain.ts')).addExplain,
  inspect: async () => (await import('./inspect.ts')).addInspect,
  tasks: async () => (await import('./tasks.ts')).addTasks,
  train: async () => (await import('./train.ts')).addTrain,
  distil: async () => (await import('./distil.ts')).addDistil,
  reward: async () => (await import('./reward.ts')).addReward,
  judge: async () => (await import('./judge.ts')).addJudge,
  scale: async () => (await import('./scale.ts')).addScale,
  aggregate: async () => (await import('./aggregate.ts')).addAggregate,
  report: async () => (await import('./report.ts')).addReport,
  experiment: async () => (await import('./experiment.ts')).addExperiment,
  demo: async () => (await import('./demo.ts')).addDemo,
};

/** Runs one command line. */
export async function runCommandLine(
  args: readonly string[],
  { terminal, signal }: { terminal: Terminal; signal: AbortSignal },
): Promise<number> {
  let exitCode = 0;
  const context: Context = {
    ...{ terminal, signal },
    fail: (code = 1) => {
      exitCode = Math.max(exitCode, code);
    },
  };
  const program = await createProgram(args, context);
  const isDebug = args.includes('--debug');
  try {
    await program.parseAsync(args, { from: 'user' });
    return signal.aborted ? 130 : exitCode;
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

/** With the command that is asked for, or with all of them for a help text or a misspelling. */
async function createProgram(args: readonly string[], context: Context): Promise<Command> {
  const output = {
    writeOut: context.terminal.out,
    writeErr: () => {},
    outputError: () => {},
  };
  const program = new Command('selscan')
    .description('learn how selective state-space models decode, and run them')
    .version(packageVersion())
    .option('--debug', 'show where an error came from')
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
    .configureOutput(output);
  const asked = args.find((arg) => !arg.startsWith('-'));
  const loaders =
    asked !== undefined && Object.hasOwn(COMMANDS, asked)
      ? [COMMANDS[asked]]
      : Object.values(COMMANDS);
  for (const addCommand of await Promise.all(loaders.map((load) => load()))) {
    addCommand(program, context);
  }
  for (const command of program.commands) command.exitOverride().configureOutput(output);
  return program;
}
