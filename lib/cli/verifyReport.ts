/** What `selscan verify` tells people: a table of ops, then a counterexample for each that is wrong. */

import type { Finding, LawReport, OpReport } from '../verify/checkSubject.ts';
import { formatCount, formatTable, type Terminal, terminalText } from './terminal.ts';

/** One line per op: laws that hold, inputs tried, the largest error as a share of its bound. */
export function opTable(reports: readonly OpReport[], terminal: Terminal): string {
  const rows = reports.map(({ op, laws }) => {
    const held = laws.filter(({ ok }) => ok).length;
    const runs = laws.reduce((sum, law) => sum + law.runs, 0);
    const worst = Math.max(0, ...laws.map((law) => law.worst ?? 0));
    const share =
      held < laws.length
        ? 'broken'
        : runs === 0
          ? 'not tried'
          : worst === 0
            ? 'same bits'
            : worst.toFixed(3);
    return [op, `${held}/${laws.length}`, formatCount(runs), share];
  });
  const [head, ...lines] = formatTable([['op', 'laws', 'runs', 'worst ÷ bound'], ...rows]).split(
    '\n',
  );
  const coloured = lines.map((line, i) =>
    reports[i].ok ? `${terminal.style('green', '✓')} ${line}` : terminal.style('red', `✗ ${line}`),
  );
  return [terminal.style('bold', `  ${head}`), ...coloured].join('\n');
}

/** The laws of one op with their runs and worst errors, for a report on a single op. */
export function lawTable({ laws }: OpReport, terminal: Terminal): string {
  const rows = laws.map(({ law, runs, worst, ok }) => [
    law,
    formatCount(runs),
    !ok
      ? 'broken'
      : runs === 0
        ? 'not tried'
        : worst === null
          ? ''
          : worst === 0
            ? 'same bits'
            : worst.toFixed(3),
  ]);
  const [head, ...lines] = formatTable([['law', 'runs', 'worst ÷ bound'], ...rows]).split('\n');
  const coloured = lines.map((line, i) =>
    laws[i].ok ? `${terminal.style('green', '✓')} ${line}` : terminal.style('red', `✗ ${line}`),
  );
  return [terminal.style('bold', `  ${head}`), ...coloured].join('\n');
}

/** The most telling counterexample of an op, and which other laws are broken. */
export function counterexampleText(
  report: OpReport,
  replay: (law: string, found: Finding) => string,
  terminal: Terminal,
): string {
  const broken = report.laws.filter((law): law is LawReport & { counterexample: Finding } => {
    return law.counterexample !== undefined;
  });
  const shown = broken.find(({ law }) => law === 'is what its equation says') ?? broken[0];
  const { law, counterexample: found } = shown;
  const others = broken.filter((one) => one !== shown).map((one) => one.law);
  const lines: [string, string][] = [['input', JSON.stringify(found.dims)]];
  const { divergence } = found;
  if (divergence) {
    const { element, want, got, error, ulp, bounds, off, of, output } = divergence;
    lines.push(['first off', `${element}: want ${want}, got ${got}`]);
    if (error !== null) {
      const multiple = bounds === null ? '' : `, ${brief(bounds)} times the bound`;
      lines.push(['by', `${brief(error)}, ${brief(ulp ?? 0)} float32 ulp${multiple}`]);
    }
    lines.push(['in all', `${off} of ${of} elements of ${output} are off`]);
  } else lines.push(['problem', found.problem]);
  if (found.cause) lines.push(['likely', terminal.style('bold', found.cause)]);
  if (found.look) lines.push(['look at', found.look]);
  if (others.length > 0) lines.push(['also broken', others.join('; ')]);
  lines.push(['again', replay(law, found)]);
  const width = Math.max(...lines.map(([label]) => label.length));
  return [
    terminal.style('red', `${report.op} breaks the law "${law}"`),
    ...lines.map(([label, text]) => `  ${label.padEnd(width)}  ${terminalText(text)}`),
  ].join('\n');
}

function brief(x: number): string {
  if (x !== 0 && (x < 0.01 || x >= 1e6)) return x.toExponential(2);
  return String(Number(x.toPrecision(3)));
}
