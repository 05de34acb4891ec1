/** Figures without a browser, for Node: SVG by Observable Plot, PNG by resvg. */

export { type DotFigureOptions, type DotRow, dotFigure } from './dotFigure.ts';
export {
  type FigurePoint,
  type FigureSeries,
  type LineFigureOptions,
  lineFigure,
} from './lineFigure.ts';
export { lossCurves } from './lossCurves.ts';
export type { ColourName } from './palette.ts';
export { svgToPng } from './png.ts';
