/** Reports of runs: accuracy against chains and seconds, as one page and figures. Node only. */

export {
  type Crossing,
  type CurvePoint,
  crossingOf,
  curvesOf,
  type ModelCurves,
} from './curves.ts';
export { type Gathered, gather } from './gather.ts';
export { type Report, type ReportOptions, writeReport } from './writeReport.ts';
