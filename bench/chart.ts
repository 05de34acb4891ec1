/** Line charts with logarithmic axes as plain SVG: a panel beside another, all with the same axes. */

export interface Point {
  readonly x: number;
  readonly y: number;
  /** Extremes of the rounds. */
  readonly min: number;
  readonly max: number;
}

export interface Line {
  /** What stands in the legend; lines of one name look alike. */
  readonly name: string;
  readonly colour: string;
  readonly isDashed?: boolean;
  readonly points: readonly Point[];
}

export interface Panel {
  readonly title: string;
  readonly lines: readonly Line[];
}

export interface Chart {
  readonly title: string;
  /** For those who do not see it. */
  readonly label: string;
  readonly xName: string;
  /** Stands behind the numbers of the other axis: ` ms`. */
  readonly unit: string;
  readonly panels: readonly Panel[];
  /** Small print: machine, versions, date. */
  readonly notes: readonly string[];
}

/** Colours that stay apart for colour-blind readers (Okabe & Ito 2008). */
export const PALETTE = {
  grey: '#999999',
  black: '#000000',
  orange: '#e69f00',
  green: '#009e73',
  blue: '#0072b2',
  purple: '#cc79a7',
  red: '#d55e00',
} as const;

const PANEL = { width: 330, height: 330, left: 58, top: 70, gap: 70 };
const FOOT = 140;
const LEGEND = { rows: 2, width: 190 };
/** Room around the points, as a factor. */
const EDGE = 1.3;

export function drawChart({ title, label, xName, unit, panels, notes }: Chart): string {
  const lines = panels.flatMap((panel) => panel.lines);
  const points = lines.flatMap((one) => one.points);
  const names = [...new Map(lines.map((one) => [one.name, one])).values()];
  const width = Math.max(
    PANEL.left + panels.length * (PANEL.width + PANEL.gap),
    PANEL.left + Math.ceil(names.length / LEGEND.rows) * LEGEND.width,
  );
  const height = PANEL.top + PANEL.height + FOOT;
  const y = logScale(
    points.flatMap(({ min, max }) => [min / EDGE, max * EDGE]),
    PANEL.height,
  );
  const xs = points.map((point) => point.x);
  const x = logScale([Math.min(...xs) / EDGE, Math.max(...xs) * EDGE], PANEL.width);
  const drawn = panels.map((panel, i) => {
    const left = PANEL.left + i * (PANEL.width + PANEL.gap);
    return `<g transform="translate(${left},${PANEL.top})">${drawPanel(panel, { x, y, xName, unit })}</g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="12" role="img" aria-label="${label}">
<rect width="100%" height="100%" fill="white"/>
<text x="${PANEL.left}" y="24" font-size="16">${escaped(title)}</text>
${drawn.join('\n')}
${legend(names, height - 62)}
${notes.map((note, i) => text(PANEL.left, height - 24 + 16 * i, note, 'fill="#555"')).join('\n')}
</svg>
`;
}

interface Scale {
  least: number;
  most: number;
  /** From 0 to the length of the axis. */
  at(value: number): number;
}

function logScale(values: readonly number[], length: number): Scale {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const share = (value: number) => Math.log(value / least) / Math.log(most / least);
  return { least, most, at: (value) => length * share(value) };
}

interface Axes {
  x: Scale;
  y: Scale;
  xName: string;
  unit: string;
}

function drawPanel({ title, lines }: Panel, { x, y, xName, unit }: Axes): string {
  const up = (value: number) => PANEL.height - y.at(value);
  const parts = [
    `<rect width="${PANEL.width}" height="${PANEL.height}" fill="none" stroke="#888"/>`,
    text(0, -10, title, 'font-size="14"'),
    text(PANEL.width / 2, PANEL.height + 34, xName, 'text-anchor="middle"'),
  ];
  for (const tick of ticksOf(y)) {
    parts.push(line(0, up(tick), PANEL.width, up(tick), '#ddd'));
    parts.push(text(-6, up(tick) + 4, `${tick}${unit}`, 'text-anchor="end"'));
  }
  for (const value of new Set(lines.flatMap(({ points }) => points.map((point) => point.x)))) {
    parts.push(line(x.at(value), 0, x.at(value), PANEL.height, '#ddd'));
    parts.push(text(x.at(value), PANEL.height + 17, `${value}`, 'text-anchor="middle"'));
  }
  for (const one of lines) {
    const places = one.points.map((point) => [x.at(point.x), up(point.y)] as const);
    const path = places.map((place) => place.map((n) => n.toFixed(1)).join(',')).join(' ');
    parts.push(`<polyline points="${path}" fill="none" ${strokeOf(one)}/>`);
    one.points.forEach(({ min, max }, i) => {
      const [px, py] = places[i];
      parts.push(line(px, up(min), px, up(max), one.colour));
      parts.push(`<circle cx="${px}" cy="${py}" r="3" fill="${one.colour}"/>`);
    });
  }
  return parts.join('\n');
}

/** 1, 10, 100, …; with 3, 30, … between them where there are few. */
function ticksOf({ least, most }: Scale): number[] {
  const steps = Math.log10(most / least) < 3 ? [1, 3] : [1];
  const ticks = [-3, -2, -1, 0, 1, 2, 3, 4, 5].flatMap((power) =>
    steps.map((step) => Number((step * 10 ** power).toPrecision(1))),
  );
  return ticks.filter((tick) => tick >= least && tick <= most);
}

function legend(lines: readonly Line[], y: number): string {
  return lines
    .map((one, i) => {
      const [column, row] = [Math.floor(i / LEGEND.rows), i % LEGEND.rows];
      const [x, at] = [PANEL.left + LEGEND.width * column, y - 16 + 18 * row];
      const sample = `<line x1="${x}" x2="${x + 30}" y1="${at - 4}" y2="${at - 4}" ${strokeOf(one)}/>`;
      return `${sample}${text(x + 36, at, one.name)}`;
    })
    .join('\n');
}

function strokeOf({ colour, isDashed }: Line): string {
  return `stroke="${colour}" stroke-width="2"${isDashed ? ' stroke-dasharray="5 4"' : ''}`;
}

function line(x1: number, y1: number, x2: number, y2: number, colour: string): string {
  const ends = [x1, y1, x2, y2].map((n) => n.toFixed(1));
  return `<line x1="${ends[0]}" y1="${ends[1]}" x2="${ends[2]}" y2="${ends[3]}" stroke="${colour}"/>`;
}

function text(x: number, y: number, content: string, attributes = ''): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
