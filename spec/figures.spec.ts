/** Figures: valid SVG whatever is drawn, text that stays text, declared rules for numbers, the same bytes each time. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { axisOf } from '../lib/figures/axis.ts';
import {
  dotFigure,
  type FigurePoint,
  type LineFigureOptions,
  lineFigure,
  lossCurves,
  svgToPng,
} from '../lib/figures/index.ts';
import { looksOf, MOST_NAMES } from '../lib/figures/palette.ts';
import { plainText } from '../lib/figures/text.ts';
import { thin } from '../lib/figures/thin.ts';
import { ConfigError } from '../reference/errors.ts';
import { SEED } from './support.ts';
import { corners, curve, parsed, texts } from './svg.ts';

const axes = { title: 'Coverage', x: 'samples', y: 'solved' };
const draw = (points: readonly FigurePoint[], more: Partial<LineFigureOptions> = {}) =>
  lineFigure({ ...axes, series: [{ name: 'hybrid', points }], ...more });

const some = [1, 2, 4, 8].map((x) => ({ x, y: 50 + x, low: 45 + x, high: 53 + x }));
const kinds: [string, () => string][] = [
  ['a line with a band', () => draw(some, { logX: true, yUnit: ' %' })],
  ['a line with bars', () => draw(some, { intervals: 'bars', logY: true })],
  ['panels', () => draw([], { series: panels(5) })],
  ['one point', () => draw([some[0]])],
  ['points in one place', () => draw([some[0], some[0]], { logX: true, logY: true })],
  ['a series without points', () => draw([])],
  ['no series', () => draw([], { series: [] })],
  ['huge and tiny numbers', () => draw([point(-1e100, 1e100), point(1e100, 1e-100)])],
  ['dots', () => dotFigure({ title: 'Ablations', x: 'solved', rows: rows(4) })],
  ['no dots', () => dotFigure({ title: 'Ablations', x: 'solved', rows: [] })],
  ['loss curves', () => lossCurves(new Map([['train', curve(100, (i) => 1 / (i + 1))]]))],
  ['loss curves of one step', () => lossCurves(new Map([['train', [[1, 3]]]]))],
  ['no loss curves', () => lossCurves(new Map())],
];

function point(x: number, y: number): FigurePoint {
  return { x, y };
}

function panels(n: number) {
  return Array.from({ length: n }, (_, i) => ({ name: 'a', panel: `panel ${i}`, points: some }));
}

function rows(n: number) {
  return Array.from({ length: 2 * n }, (_, i) => ({
    ...{ name: `row ${i >> 1}`, series: ['pure', 'hybrid'][i % 2] },
    ...{ value: i, low: i - 1, high: i + 1 },
  }));
}

describe('every figure', () => {
  it.each(kinds)('is a valid document of shapes and text: %s', async (_, figure) => {
    const svg = figure();
    const elements = await parsed(svg);
    const names = new Set(elements.map(({ localName }) => localName));
    const known = ['svg', 'g', 'rect', 'line', 'path', 'circle', 'text'];
    expect([...names].filter((name) => !known.includes(name))).toEqual([]);
    expect(elements[0].getAttribute('xmlns')).toBe('http://www.w3.org/2000/svg');
    expect(svg).toMatch(/^<svg [^>]*><rect [^>]*fill="#ffffff"\/>/);
    expect(svg).not.toMatch(/NaN|Infinity|undefined|⚠/);
  });

  it.each(kinds)('is the same bytes each time: %s', (_, figure) => {
    const first = figure();
    draw(some);
    expect(figure()).toBe(first);
  });

  it('does not hang on the order of the points', () => {
    expect(draw([...some].reverse())).toBe(draw(some));
  });
});

describe('text', () => {
  const HOSTILE = [
    ...[
      '<script>alert(1)</script>',
      ']]>',
      '"\'><x onload="y"',
      '&lt;&amp;',
      '<!-- -->',
      '<![CDATA[',
    ],
    ...[
      '\u0000\u0001\u0008\u001b[31m\u007f\u009f',
      '\ud800 \udc00',
      '\ufffe\uffff',
      '\u202eab',
      '漢字 😀',
    ],
  ];

  it.each(HOSTILE)('stays text wherever it stands: %j', async (text) => {
    const points = some;
    const line = lineFigure({
      ...{ title: text, description: text, x: text, y: text, xUnit: text, yUnit: text },
      ...{ series: [{ name: text, panel: text, points }], notes: [text] },
    });
    const dots = dotFigure({
      ...{ title: text, x: text, xUnit: text, notes: [text] },
      rows: [{ name: text, series: text, value: 1 }],
    });
    for (const svg of [line, dots, lossCurves(new Map([[text, [[1, 2]]]]), { title: text })]) {
      expect(svg).not.toMatch(/\p{Surrogate}/u); // resvg's parser replaces them
      const elements = await parsed(svg);
      expect(elements.filter(({ localName }) => /script|^x$/.test(localName))).toEqual([]);
      expect(elements.filter((element) => element.hasAttribute('onload'))).toEqual([]);
      expect(texts(elements)).toContain(plainText(text));
    }
  });

  it('is what XML can hold, whatever was given', async () => {
    const unit = 'binary' as const;
    const law = fc.asyncProperty(fc.string({ unit, maxLength: 40 }), async (text) => {
      const label = lineFigure({ ...axes, title: text, description: text, series: [] });
      const elements = await parsed(label);
      expect(elements.map(({ localName }) => localName)).toContain('svg');
      expect(label).not.toMatch(/[\p{Surrogate}\u0000-\u0009\u000b-\u001f\ufffe\uffff]/u);
    });
    await fc.assert(law, { seed: SEED, numRuns: 40 });
  });

  it('is cut where it is too long, and never at length in the file', () => {
    expect(draw(some, { title: 'W'.repeat(1e6), yUnit: 'x'.repeat(1e6) }).length).toBeLessThan(2e4);
  });
});

describe('numbers', () => {
  it.each([
    ['x', { x: Number.NaN, y: 1 }, {}],
    ['y', { x: 1, y: Number.NaN }, {}],
    ['y', { x: 1, y: -Infinity }, {}],
    ['y', { x: 1, y: 1e101 }, {}],
    ['x', { x: 0, y: 1 }, { logX: true }],
    ['y', { x: 1, y: -1 }, { logY: true }],
    ['low', { x: 1, y: 1, low: Number.NaN }, {}],
    ['high', { x: 1, y: 1, high: Infinity }, {}],
    ['low', { x: 1, y: 1, low: 3, high: 2 }, {}],
  ])('refuses %s of %j with %j', (what, wrong, more) => {
    expect(() => draw([wrong], more)).toThrow(ConfigError);
    expect(() => draw([wrong], more)).toThrow(new RegExp(`expected ${what} of "hybrid"`));
  });

  it('refuses values and ranges that have no place', () => {
    const row = { name: 'a', value: Number.NaN };
    expect(() => dotFigure({ ...axes, rows: [row] })).toThrow(/expected value of "a"/);
    expect(() => draw(some, { yRange: [0, Number.NaN] })).toThrow(/expected yRange/);
  });

  it('lets an interval reach below zero on a logarithmic axis: to the edge', async () => {
    const svg = draw([{ x: 1, y: 10, low: -5, high: 30 }], { logY: true });
    const frame = /aria-label="frame"[^>]*y="([\d.]+)" width="[\d.]+" height="([\d.]+)"/.exec(svg);
    const [top, height] = [Number(frame?.[1]), Number(frame?.[2])];
    const bar =
      /aria-label="rule"[^>]*><line x1="[\d.]+" x2="[\d.]+" y1="([\d.]+)" y2="([\d.]+)"/.exec(svg);
    expect(Math.max(Number(bar?.[1]), Number(bar?.[2]))).toBe(top + height);
  });

  it('marks all of a few values on a logarithmic axis', async () => {
    const points = [1, 2, 4, 8, 16, 32, 64].map((x) => point(x, x));
    const found = texts(await parsed(draw(points, { logX: true })));
    expect(found).toEqual(expect.arrayContaining(['1', '2', '4', '8', '16', '32', '64']));
  });

  it('writes ticks that say where they stand, apart from one another', () => {
    const size = fc.double({ min: -1e12, max: 1e12, noNaN: true });
    const sizes = fc.array(size, { minLength: 1, maxLength: 20 });
    const law = fc.property(sizes, fc.boolean(), fc.boolean(), (drawn, isLog, isUpright) => {
      const values = isLog ? drawn.map((value) => Math.abs(value) + 1e-9) : drawn;
      const common = { name: 'x', length: 300, isUpright, marksValues: !isUpright };
      const { ticks, label, at, least, most } = axisOf({ ...common, isLog, values });
      expect(ticks.length).toBeGreaterThan(0);
      expect(values.every((value) => value >= least && value <= most)).toBe(true);
      const labels = ticks.map(label);
      expect(new Set(labels).size).toBe(ticks.length);
      ticks.forEach((tick, i) => {
        const said = Number(labels[i].replaceAll(',', '').replaceAll('−', '-'));
        const bound = isLog ? 1e-5 * tick : 1e-6 * (most - least);
        expect(Math.abs(said - tick), `${tick} as ${labels[i]}`).toBeLessThanOrEqual(bound);
        if (i > 0) expect(at(tick) - at(ticks[i - 1])).toBeGreaterThan(10);
      });
    });
    fc.assert(law, { seed: SEED, numRuns: 300 });
  });
});

describe('names', () => {
  it('look different, as many as there may be', () => {
    const names = Array.from({ length: MOST_NAMES }, (_, i) => ({ name: `${i}` }));
    const looks = [...looksOf(names).values()].map(({ colour, dash }) => `${colour} ${dash}`);
    expect(new Set(looks).size).toBe(MOST_NAMES);
    expect(() => looksOf([...names, { name: 'more' }])).toThrow(/at most 21 names, got 22/);
  });
});

describe('many points', () => {
  const noise = (i: number) => ((i * 7919) % 1009) / 1009;
  const many = Array.from({ length: 100_000 }, (_, i) => point(i, noise(i)));
  many[31_415] = point(31_415, 9);
  many[92_653] = point(92_653, -9);

  it('become few, and the extremes survive', () => {
    const svg = draw(many);
    expect(svg.length).toBeLessThan(60_000);
    const heights = corners(svg)[0].map(([, y]) => y);
    const two = corners(draw([many[31_415], many[92_653]]))[0].map(([, y]) => y);
    expect([Math.min(...heights), Math.max(...heights)]).toEqual(two);
  });

  it('keep of every column the first, the last, the extremes and the widest interval', () => {
    const level = fc.double({ min: -1, max: 1, noNaN: true });
    const law = fc.property(fc.array(level, { minLength: 1_001, maxLength: 3_000 }), (ys) => {
      const points = ys.map((y, x) => ({ x, y, low: y - noise(x), high: y + noise(x + 1) }));
      const kept = thin(points, (x) => x / 50); // a hundred points a column of two pixels
      expect(kept.length).toBeLessThanOrEqual(6 * Math.ceil(points.length / 100));
      for (let start = 0; start < points.length; start += 100) {
        const own = points.slice(start, start + 100);
        const left = kept.filter(({ x }) => x >= start && x < start + 100);
        expect([left[0], left.at(-1)]).toEqual([own[0], own.at(-1)]);
        for (const of of ['y', 'low', 'high'] as const) {
          const range = (some: typeof points) => some.map((one) => one[of]);
          if (of !== 'high') expect(Math.min(...range(left))).toBe(Math.min(...range(own)));
          if (of !== 'low') expect(Math.max(...range(left))).toBe(Math.max(...range(own)));
        }
      }
    });
    fc.assert(law, { seed: SEED, numRuns: 20 });
  });
});

describe('svgToPng', () => {
  const sizeOf = (png: Uint8Array) => {
    const view = new DataView(png.buffer, png.byteOffset);
    return [view.getUint32(16), view.getUint32(20)];
  };

  it('has the size that was asked for, and the text', async () => {
    const size = /width="(\d+)" height="(\d+)"/.exec(draw(some))?.slice(1).map(Number) ?? [];
    const png = await svgToPng(draw(some));
    expect([...png.slice(0, 8)]).toEqual([137, 80, 78, 71, 13, 10, 26, 10]);
    expect(sizeOf(png)).toEqual(size.map((n) => 2 * n));
    expect(sizeOf(await svgToPng(draw(some), { scale: 1 }))).toEqual(size);
    // without a font both would be blank there
    const other = await svgToPng(draw(some, { title: 'Coveragf' }));
    expect(Buffer.compare(png, other)).not.toBe(0);
    expect(Buffer.compare(png, await svgToPng(draw(some)))).toBe(0);
  });

  it('refuses what it cannot draw', async () => {
    await expect(svgToPng('<p>')).rejects.toThrow(ConfigError);
    await expect(svgToPng(draw(some), { scale: Number.NaN })).rejects.toThrow(/scale/);
    await expect(svgToPng(draw(some), { scale: 9 })).rejects.toThrow(/at most 8, got 9/);
  });
});
