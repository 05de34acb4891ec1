/** `selscan verify`: checks backends, other people's kernels and programs in any language by all laws. */

import { type Command, Option } from 'commander';
import { ConfigError, SelscanError } from '../../reference/errors.ts';
import { checkSubject, DEFAULT_RUNS, type Finding, type OpReport } from '../verify/checkSubject.ts';
import type { Context } from './context.ts';
import { writeAtomically } from './files.ts';
import { parseInteger, parseNumber, parseTexts } from './options.ts';
import { packageVersion } from './packageVersion.ts';
import { counterexampleText, lawTable, opTable } from './verifyReport.ts';
import { type Absent, type Judged, openJudged, type VerifyFlags } from './verifySubjects.ts';

/** Without arguments everything present is checked, in so many seconds from the start of the process. */
const QUICK_SECONDS = 7.5;
const QUICK_RUNS = 20;

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
  const results: { judged: Judged; reports: OpReport[] }[] = [];
  try {
    for await (const judged of openJudged(flags, absent, signal)) {
      try {
        const reports = await judge(judged, flags, context);
        results.push({ judged, reports });
        print(judged, reports, flags, context);
      } finally {
        await judged.close();
      }
    }
  } catch (error) {
    if (signal.aborted) throw new SelscanError('Aborted', 'verify: interrupted');
    throw error;
  }
  for (const { name, why } of absent) {
    if (!flags.json) terminal.out(`${terminal.style('dim', `${name} is absent: ${why}`)}\n`);
  }
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

function judge({ subject, ops }: Judged, flags: VerifyFlags, context: Context) {
  const { terminal, signal } = context;
  const { law: laws, seed, path } = flags;
  const quick = isQuick(flags);
  // half of what is left for each: the number of backends to come is not known yet
  const seconds = quick ? (QUICK_SECONDS - performance.now() / 1000) / 2 : undefined;
  return checkSubject(subject, {
    ops,
    laws,
    runs: flags.runs ?? (quick ? QUICK_RUNS : DEFAULT_RUNS),
    seed,
    path,
    signal,
    seconds,
    onLaw: (op) => {
      if (terminal.isInteractive) terminal.err(`\r\u001b[K${subject.name}: ${op}`);
    },
  });
}

function print(judged: Judged, reports: OpReport[], flags: VerifyFlags, context: Context): void {
  const { terminal } = context;
  const { subject } = judged;
  if (flags.json) {
    for (const report of reports) {
      terminal.out(`${JSON.stringify(withReplay(report, flags))}\n`);
    }
    return;
  }
  if (terminal.isInteractive) terminal.err('\r\u001b[K');
  const { machine, precision } = subject;
  terminal.out(
    `${terminal.style('bold', subject.name)}, ${precision}, as exact as ${machine.name}\n`,
  );
  const table = reports.length === 1 ? lawTable(reports[0], terminal) : opTable(reports, terminal);
  terminal.out(`${table}\n`);
  const untried = reports.flatMap(({ laws }) => laws).filter(({ runs }) => runs === 0).length;
  if (untried > 0) {
    terminal.out(`${untried} laws were not tried: no time, or nothing to apply them to\n`);
  }
  for (const report of reports.filter(({ ok }) => !ok)) {
    const again = (law: string, found: Finding) => replay(report, law, found, flags);
    terminal.out(`\n${counterexampleText(report, again, terminal)}\n`);
  }
  terminal.out('\n');
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
  return { op: report.op, backend: report.backend, laws, ok: report.ok };
}

/** Writes what ran, on what, and how it went. */
async function certify(
  path: string,
  flags: VerifyFlags,
  results: readonly { judged: Judged; reports: OpReport[] }[],
  absent: readonly Absent[],
): Promise<void> {
  const certificate = {
    selscan: packageVersion(),
    date: new Date().toISOString(),
    node: process.version,
    seed: flags.seed,
    runs: flags.runs ?? (isQuick(flags) ? QUICK_RUNS : DEFAULT_RUNS),
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
