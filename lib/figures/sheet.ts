/** A page with a title, a legend, panels and notes, drawn by Observable Plot without a browser. */

import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import type { Look } from './palette.ts';
import { fitted, plainText, textWidth, wrapped } from './text.ts';
import { toXml } from './xml.ts';

/** The bundled font first; then fonts of about its width, so that nothing overlaps where it is not installed. */
export const FONT = 'DejaVu Sans, Verdana, sans-serif';
export const INK = '#222222';

const NAMESPACE = 'http://www.w3.org/2000/svg';
const EDGE = 16;
const GAP = 24;
const TITLE = { size: 16, line: 22 };
const TEXT = { size: 12, line: 18 };
const SMALL = { size: 11, line: 16, colour: '#555555' };
const SAMPLE = { width: 30, gap: 6 };

export interface LegendEntry {
  readonly name: string;
  readonly look: Look;
  /** Whether its line is drawn faintly, and whether there is a line at all. */
  readonly isFaint?: boolean;
  readonly hasLine: boolean;
  readonly hasDot: boolean;
}

export interface SheetPanel {
  readonly title: string;
  readonly width: number;
  readonly height: number;
  readonly marks: Plot.Markish[];
  readonly options: Plot.PlotOptions;
}

export interface Sheet {
  readonly title: string;
  readonly description: string;
  readonly legend: readonly LegendEntry[];
  readonly panels: readonly SheetPanel[];
  readonly columns: number;
  readonly notes: readonly string[];
}

interface Label {
  readonly x: number;
  readonly y: number;
  readonly text: string;
}

/** The sheet as a whole SVG document on a white page, for light and dark surroundings alike. */
export function drawSheet(sheet: Sheet): string {
  const { panels, columns } = sheet;
  const { document } = parseHTML('<html></html>') as unknown as { document: Document };
  const rows = Math.ceil(panels.length / columns);
  const [panelWidth, panelHeight] = [panels[0].width, panels[0].height];
  const inner = columns * panelWidth + (columns - 1) * GAP;
  const width = inner + 2 * EDGE;

  const titles = wrapped(sheet.title, TITLE.size, inner).map((text, i) => ({
    ...{ x: EDGE, text },
    y: EDGE + TITLE.size + i * TITLE.line,
  }));
  const legendTop = EDGE + titles.length * TITLE.line + 14;
  const legend = placed(sheet.legend, legendTop, inner);
  const panelsTop = legendTop + legend.height;
  const headRoom = panels.some(({ title }) => title !== '') ? 26 : 6;
  const rowHeight = panelHeight + headRoom;
  const places = panels.map((_, i) => ({
    x: EDGE + (i % columns) * (panelWidth + GAP),
    y: panelsTop + headRoom + Math.floor(i / columns) * (rowHeight + GAP / 2),
  }));
  const headings = panels.map(({ title }, i) => ({
    x: places[i].x,
    y: places[i].y - 8,
    text: fitted(title, TEXT.size + 1, panelWidth),
  }));
  const panelsEnd = panelsTop + rows * rowHeight + ((rows - 1) * GAP) / 2;
  const notes = sheet.notes
    .flatMap((note) => wrapped(note, SMALL.size, inner))
    .map((text, i) => ({ x: EDGE, y: panelsEnd + (i + 1) * SMALL.line, text }));
  const height = panelsEnd + notes.length * SMALL.line + EDGE;

  const root = document.createElementNS(NAMESPACE, 'svg');
  const attributes = {
    ...{ xmlns: NAMESPACE, width, height, viewBox: `0 0 ${width} ${height}` },
    ...{ 'font-family': FONT, 'font-size': TEXT.size, fill: INK, color: INK },
    ...{ role: 'img', 'aria-label': plainText(sheet.description) },
  };
  set(root, attributes);
  const page = document.createElementNS(NAMESPACE, 'rect');
  set(page, { width, height, fill: '#ffffff' });
  root.append(page);
  const add = (plot: Element, x = 0, y = 0) => root.append(asGroup(document, plot, x, y));
  const furniture: Plot.PlotOptions = {
    ...{ document, width, height, margin: 0, axis: null },
    ...{ x: { type: 'identity' }, y: { type: 'identity' } },
    marks: [
      labels(titles, TITLE.size),
      labels(headings, TEXT.size + 1),
      labels(notes, SMALL.size, SMALL.colour),
      ...legend.marks,
    ],
  };
  add(Plot.plot(furniture));
  panels.forEach(({ width, height, marks, options }, i) => {
    const plot = Plot.plot({ ...options, document, width, height, marks });
    add(plot, places[i].x, places[i].y);
  });
  return `${toXml(root)}\n`;
}

/** What Plot has drawn without its style sheet, which programs that are no browser do not read. */
function asGroup(document: Document, plot: Element, x: number, y: number): Element {
  const group = document.createElementNS(NAMESPACE, 'g');
  if (x !== 0 || y !== 0) group.setAttribute('transform', `translate(${x},${y})`);
  group.setAttribute('text-anchor', 'middle');
  group.append(...[...plot.childNodes].filter((node) => node.nodeName.toLowerCase() !== 'style'));
  return group;
}

function set(element: Element, attributes: Record<string, string | number>): void {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
}

function labels(at: readonly Label[], fontSize: number, fill = INK): Plot.Markish {
  const place = { x: 'x', y: 'y', text: 'text' } as const;
  return Plot.text(at, { ...place, fontSize, fill, textAnchor: 'start', lineAnchor: 'bottom' });
}

/** The legend in rows. */
function placed(
  entries: readonly LegendEntry[],
  top: number,
  width: number,
): { height: number; marks: Plot.Markish[] } {
  if (entries.length === 0) return { height: 0, marks: [] };
  const before = SAMPLE.width + SAMPLE.gap;
  let [x, row] = [0, 0];
  const all = entries.map((entry) => {
    const text = fitted(entry.name, TEXT.size, width - before);
    const needs = before + textWidth(text, TEXT.size);
    if (x > 0 && x + needs > width) [x, row] = [0, row + 1];
    const place = { entry, text, x: EDGE + x, y: top + row * TEXT.line };
    x += needs + GAP;
    return place;
  });
  const marks = all.flatMap(({ entry: { look, isFaint, hasLine, hasDot }, x, y }) => {
    const middle = [{ x: x + SAMPLE.width / 2, y }];
    const line = [{ x1: x, x2: x + SAMPLE.width, y1: y, y2: y }];
    return [
      ...(hasLine ? [Plot.link(line, { ...ENDS, ...strokeOf(look, isFaint) })] : []),
      ...(hasDot ? [Plot.dot(middle, { x: 'x', y: 'y', ...dotOf(look) })] : []),
    ];
  });
  const names = all.map(({ text, x, y }) => ({ text, x: x + before, y: y + TEXT.size / 2 - 1 }));
  return { height: (row + 1) * TEXT.line, marks: [...marks, labels(names, TEXT.size)] };
}

const ENDS = { x1: 'x1', x2: 'x2', y1: 'y1', y2: 'y2' } as const;

export function strokeOf({ colour, dash }: Look, isFaint = false) {
  const width = isFaint ? { strokeWidth: 1, strokeOpacity: 0.35 } : { strokeWidth: 2 };
  return { ...{ stroke: colour, strokeDasharray: dash }, ...width };
}

export function dotOf({ colour, symbol }: Look) {
  return { ...{ fill: colour, symbol, r: 3.5 }, stroke: '#ffffff', strokeWidth: 0.75 } as const;
}
