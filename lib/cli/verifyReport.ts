/** What `selscan verify` tells people: a table of ops, then a counterexample for each that is wrong. */

import type { Finding, LawReport, OpReport } from '../verify/checkSubject.ts';
import { formatCount, formatTable, type Terminal, terminalText } from './terminal.ts';

/** One line per op: laws that hold of those there are, inputs tried, the largest error as a share of its bound. */
export function opTable(reports: readonly OpReport[], terminal: Terminal): string {
  const rows = reports.map(({ op, laws, notTried, ok }): Row => {
    const held = laws.filter((law) => law.ok).length;
    const runs = laws.reduce((sum, law) => sum + law.runs, 0);
    const worst = Math.max(0, ...laws.map((law) => law.worst ?? 0));
    const broken = laws.length - held;
    const remarks = [
      broken > 0 ? `${broken} broken` : '',
      notTried.length > 0 ? `${notTried.length} not tried` : '',
    ].filter((remark) => remark !== '');
    const all = laws.length + notTried.length;
    return {
      mark: broken > 0 ? 'broken' : ok ? 'holds' : 'not tried',
      cells: [op, `${held}/${all}`, formatCount(runs), shareOf(worst, laws), remarks.join(', ')],
    };
  });
  return table(['op', 'laws', 'runs', 'worst ÷ bound', ''], rows, terminal);
}

/** The laws of one op with their runs and worst errors, for a report on a single op. */
export function lawTable({ laws, notTried }: OpReport, terminal: Terminal): string {
  const tried = laws.map((law): Row => {
    const { runs, ok, worst } = law;
    const share = ok ? shareOf(worst ?? 0, [law]) : 'broken';
    return { mark: ok ? 'holds' : 'broken', cells: [law.law, formatCount(runs), share] };
  });
  const others = notTried.map(
    (law): Row => ({ mark: 'not tried', cells: [law, '0', 'not tried'] }),
  );
  return table(['law', 'runs', 'worst ÷ bound'], [...tried, ...others], terminal);
}

interface Row {
  mark: 'holds' | 'broken' | 'not tried';
  cells: string[];
}

/** The largest error of some laws, as a share of its bound. */
function shareOf(worst: number, laws: readonly LawReport[]): string {
  if (laws.length === 0) return '';
  if (laws.some(({ ok }) => !ok)) return 'broken';
  return worst === 0 ? 'same bits' : worst.toFixed(3);
}

/** Aligned columns with a mark before each row. */
function table(head: string[], rows: readonly Row[], terminal: Terminal): string {
  const cells = [head, ...rows.map((row) => row.cells)];
  const [first, ...lines] = formatTable(cells).split('\n');
  const marked = lines.map((line, i) => {
    const { mark } = rows[i];
    if (mark === 'broken') return terminal.style('red', `✗ ${line}`);
    if (mark === 'not tried') return terminal.style('yellow', `– ${line}`);
    return `${terminal.style('green', '✓')} ${line}`;
  });
  return [terminal.style('bold', `  ${first}`), ...marked].join('\n');
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
  const lines: [string, string][] = [['input', dimsText(found.dims)]];
  const { divergence } = found;
  if (divergence) {
    const { element, want, got, error, ulp, bounds, off, of, output } = divergence;
    lines.push(['first off', `${element}: want ${nine(want)}, got ${nine(got)}`]);
    if (error !== null) {
      const multiple = bounds === null ? '' : `, ${brief(bounds)} times the bound`;
      lines.push(['by', `${brief(error)}, ${brief(ulp ?? 0)} float32 ulp${multiple}`]);
    }
    lines.push(['in all', `${off} of ${of} elements of ${output} are off`]);
  } else lines.push(['problem', found.problem]);
  if (found.cause) lines.push(['likely', found.cause]);
  if (found.look) lines.push(['look at', found.look]);
  if (others.length > 0) lines.push(['also broken', others.join('; ')]);
  const width = Math.max(...lines.map(([label]) => label.length));
  const indent = ' '.repeat(width + 4);
  const rows = lines.map(
    ([label, text]) =>
      `  ${label.padEnd(width)}  ${wrapped(terminalText(text), terminal.columns - indent.length, indent)}`,
  );
  return [
    terminal.style('red', `${report.op} breaks the law "${law}"`),
    ...rows,
    // in one piece, to be copied
    `  ${'again'.padEnd(width)}  ${terminalText(replay(law, found))}`,
  ].join('\n');
}

/** The dimensions of an input: `batch 1, seqlen 3, hasD`; what is absent is left out. */
function dimsText(dims: unknown): string {
  return Object.entries(dims as object)
    .filter(([, value]) => value !== false && value !== undefined)
    .map(([name, value]) => {
      if (value === true) return name;
      return `${name} ${typeof value === 'object' ? JSON.stringify(value) : value}`;
    })
    .join(', ');
}

/** Lines of at most so many characters where there is a space to break at. */
function wrapped(text: string, columns: number, indent: string): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= columns) {
      lines[lines.length - 1] = `${line} ${word}`;
    } else lines.push(word);
  }
  return lines.join(`\n${indent}`);
}

/** As many digits as tell float32 numbers apart. */
const nine = (x: number | string) => (typeof x === 'number' ? Number(x.toPrecision(9)) : x);

function brief(x: number): string {
  if (x !== 0 && (x < 0.01 || x >= 1e6)) return x.toExponential(2);
  return String(Number(x.toPrecision(3)));
}
