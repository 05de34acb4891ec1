/** `selscan verify`: checks backends, other people's kernels and programs in any language by all laws. */

import { type Command, Option } from 'commander';
import { ConfigError, SelscanError } from '../../reference/errors.ts';
import type { OpName } from '../../reference/ops.ts';
import { writeAtomically } from '../checkpoint/atomicFile.ts';
import { checkSubject, DEFAULT_RUNS, type Finding, type OpReport } from '../verify/checkSubject.ts';
import type { Subject } from '../verify/laws/law.ts';
import { checkQuickly } from '../verify/quickly.ts';
import type { Context } from './context.ts';
import { parseInteger, parseNumber, parseTexts } from './options.ts';
import { packageVersion } from './packageVersion.ts';
import type { Terminal } from './terminal.ts';
import { counterexampleText, lawTable, opTable } from './verifyReport.ts';
import { type Absent, type Judged, openJudged, type VerifyFlags } from './verifySubjects.ts';

/** Where nobody in particular is asked for, no law is begun so many seconds after the start of the process. */
const QUICK_SECONDS = 8;

/** Somebody who was judged, and how it went. */
interface Result {
  judged: Judged;
  reports: OpReport[];
}

export function addVerify(program: Command, context: Context): void {
  program
    .command('verify')
    .description('check kernels against the definitions of the ops, with counterexamples')
    .option('--op <name>', 'an op, by our name or a golden name; may be repeated', parseTexts)
    .option('--backend <name>', 'a backend; may be repeated; default: all present', parseTexts)
    .option('--kernel <file>', 'a module whose exports are named like ops')
    .option('--exec <command>', 'a program that reads a folder of cases and writes their outputs')
    .option('--runs <n>', `inputs for each law (default: ${DEFAULT_RUNS})`, parseInteger)
    .addOption(new Option('--seed <n>', 'of all inputs').default(1).argParser(parseInteger))
    .option('--law <sentence>', 'only this law; may be repeated', parseTexts)
    .option('--path <path>', 'only the input of a counterexample, with its --law and --seed')
    .addOption(
      new Option('--precision <type>', 'of the inputs')
        .choices(['float32', 'float64'])
        .default('float32'),
    )
    .option('--timeout <seconds>', 'for a call of a kernel, or a run of a program', parseNumber)
    .option('--certificate <file>', 'where a JSON record of what ran is written')
    .option('--json', 'one JSON object per op')
    .action((flags: VerifyFlags) => run(flags, context));
}

async function run(flags: VerifyFlags, context: Context): Promise<void> {
  checkFlags(flags);
  const { signal, terminal } = context;
  const absent: Absent[] = [];
  const results: Result[] = [];
  try {
    const opened = openJudged(flags, absent, signal);
    const judging = isQuick(flags)
      ? judgeQuickly(opened, flags, context)
      : judgeThoroughly(opened, flags, context);
    for await (const result of judging) {
      results.push(result);
      print(result, flags, context);
    }
  } catch (error) {
    if (signal.aborted) throw new SelscanError('Aborted', 'verify: interrupted');
    throw error;
  } finally {
    if (terminal.isInteractive) terminal.err(CLEAR_LINE);
  }
  if (!flags.json) printRest(absent, results, terminal);
  if (flags.certificate) await certify(flags.certificate, flags, results, absent);
  if (results.some(({ reports }) => reports.some(({ ok }) => !ok))) context.fail();
}

function checkFlags({ exec, kernel, backend, runs, path, law, timeout, seed }: VerifyFlags): void {
  const chosen = [exec, kernel, backend].filter((one) => one !== undefined).length;
  if (chosen > 1) throw new ConfigError('verify: expected one of --backend, --kernel and --exec');
  if (runs !== undefined && !(runs >= 1)) {
    throw new ConfigError(`runs: expected a whole number ≥ 1, got ${runs}`);
  }
  if (seed < -(2 ** 31) || seed >= 2 ** 31) {
    throw new ConfigError(`seed: expected a whole number of 32 bits, got ${seed}`);
  }
  if (timeout !== undefined && !(timeout > 0 && timeout <= 86400)) {
    throw new ConfigError(`timeout: expected seconds from 0 to 86400, got ${timeout}`);
  }
  if (path === undefined) return;
  if (!/^\d+(:\d+)*$/.test(path)) {
    throw new ConfigError(`path: expected numbers with colons between, got ${path}`);
  }
  if (law?.length !== 1) throw new ConfigError('path: expected --law with the law that it breaks');
}

/** Whether nobody in particular was asked for: then the answer has to come quickly. */
const isQuick = ({ exec, kernel, backend, runs, law }: VerifyFlags) =>
  [exec, kernel, backend, runs, law].every((flag) => flag === undefined);

/** One after the other, each with its report as soon as it is complete. */
async function* judgeThoroughly(
  opened: AsyncIterable<Judged>,
  { law: laws, seed, path, runs }: VerifyFlags,
  { signal, terminal }: Context,
): AsyncGenerator<Result> {
  for await (const judged of opened) {
    const { subject, ops } = judged;
    try {
      const onLaw = (op: OpName) => showProgress(terminal, subject, op);
      const options = { ops, laws, runs, seed, path, signal, onLaw };
      yield { judged, reports: await checkSubject(subject, options) };
    } finally {
      await judged.close();
    }
  }
}

/** All side by side, in as much time as is left. */
async function* judgeQuickly(
  opened: AsyncIterable<Judged>,
  { seed }: VerifyFlags,
  { signal, terminal }: Context,
): AsyncGenerator<Result> {
  const all: Judged[] = [];
  try {
    for await (const judged of opened) all.push(judged);
    const onLaw = (subject: Subject, op: OpName) => showProgress(terminal, subject, op);
    const seconds = QUICK_SECONDS - performance.now() / 1000;
    const reports = await checkQuickly(all, { seed, seconds, signal, onLaw });
    yield* all.map((judged, i) => ({ judged, reports: reports[i] }));
  } finally {
    for (const judged of all) await judged.close();
  }
}

const CLEAR_LINE = '\r\u001b[K';

function showProgress({ isInteractive, err }: Terminal, { name }: Subject, op: OpName): void {
  if (isInteractive) err(`${CLEAR_LINE}${name}: ${op}`);
}

function print({ judged, reports }: Result, flags: VerifyFlags, { terminal }: Context): void {
  const { subject } = judged;
  if (flags.json) {
    for (const report of reports) {
      terminal.out(`${JSON.stringify(withReplay(report, flags))}\n`);
    }
    return;
  }
  if (terminal.isInteractive) terminal.err(CLEAR_LINE);
  const { machine, precision } = subject;
  terminal.out(
    `${terminal.style('bold', subject.name)}, ${precision}, as exact as ${machine.name}\n`,
  );
  const table = reports.length === 1 ? lawTable(reports[0], terminal) : opTable(reports, terminal);
  terminal.out(`${table}\n`);
  for (const report of reports.filter(({ laws }) => laws.some(({ ok }) => !ok))) {
    const again = (law: string, found: Finding) => replay(report, law, found, flags);
    terminal.out(`\n${counterexampleText(report, again, terminal)}\n`);
  }
  terminal.out('\n');
}

/** Who is absent, and how to have everything checked that there was no time for. */
function printRest(
  absent: readonly Absent[],
  results: readonly Result[],
  terminal: Terminal,
): void {
  const lines = absent.map(
    ({ name, why }) => `absent: ${why.startsWith(name) ? '' : `${name}: `}${why}`,
  );
  const untried = results.filter(({ reports }) =>
    reports.some(({ notTried }) => notTried.length > 0),
  );
  const name = untried.at(-1)?.judged.subject.name;
  if (name !== undefined && results.length > 1) {
    lines.push(
      `to try every law of a backend ${DEFAULT_RUNS} times: selscan verify --backend ${name}`,
    );
  }
  for (const line of lines) terminal.out(`${terminal.style('dim', line)}\n`);
}

/** The command line that shows one counterexample again. */
function replay(
  { op, backend }: OpReport,
  law: string,
  found: Finding,
  flags: VerifyFlags,
): string {
  const { kernel, exec, precision, timeout } = flags;
  const who = kernel ? ['--kernel', kernel] : exec ? ['--exec', exec] : ['--backend', backend];
  const words = ['--op', op, ...who, '--law', law, '--seed', `${found.seed}`, '--path', found.path];
  if (precision !== 'float32') words.push('--precision', precision);
  if (timeout !== undefined) words.push('--timeout', `${timeout}`);
  return `selscan verify ${words.map(quoted).join(' ')}`;
}

const quoted = (word: string) =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

function withReplay(report: OpReport, flags: VerifyFlags): object {
  const laws = report.laws.map((law) => {
    if (!law.counterexample) return law;
    const again = replay(report, law.law, law.counterexample, flags);
    return { ...law, counterexample: { ...law.counterexample, replay: again } };
  });
  return { ...report, laws };
}

/** Writes what ran, on what, and how it went. */
async function certify(
  path: string,
  flags: VerifyFlags,
  results: readonly Result[],
  absent: readonly Absent[],
): Promise<void> {
  const certificate = {
    selscan: packageVersion(),
    date: new Date().toISOString(),
    node: process.version,
    seed: flags.seed,
    runs: flags.runs ?? (isQuick(flags) ? 'as many as there was time for' : DEFAULT_RUNS),
    ok: results.every(({ reports }) => reports.every(({ ok }) => ok)),
    judged: results.map(({ judged, reports }) => ({
      ...judged.ran,
      precision: judged.subject.precision,
      machine: judged.subject.machine.name,
      ops: reports.map((report) => withReplay(report, flags)),
    })),
    absent,
  };
  await writeAtomically(
    path,
    new TextEncoder().encode(`${JSON.stringify(certificate, null, 2)}\n`),
  );
}
