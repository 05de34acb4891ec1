/** Steps of training that work on rows: matrices, norms, gates, columns, the optimiser. */

import {
  ADAM_W,
  ADD_GROUPS,
  ADD_ROWS,
  ADD_TO_TABLE,
  COLUMN_SUMS,
  FILL,
  GATE_GRADIENT,
  GATE_ROWS,
  NORM_GRADIENT,
  NORM_ROWS,
  PACK_COLUMNS,
  PACK_ROWS,
  REPEAT_GROUPS,
  ROWS_BY_PANELS,
  SQUARES,
  TABLE_ROWS,
  TILES_BY_PANELS,
  TOTAL,
} from '../../training/abiLayers';
import { gate, repeatColumns } from '../columns';
import { gatedRmsNorm } from '../norms';
import { real, word } from '../share';
import { adamW } from './adamW';
import { addGroups, addRows, addToTable, tableRows } from './columns';
import { fill } from './fill';
import { gateGradient } from './gates';
import { normGradient } from './norms';
import { packColumns, packRows } from './packing';
import { rowsByPanels, tilesByPanels } from './products';
import { columnSums, squares, total } from './sums';

export function runLayerGradientStep(kernel: u32, step: usize, thread: u32, threads: u32): void {
  switch (kernel) {
    case FILL:
      fill(word(step, 0), word(step, 1), thread, threads);
      break;
    case PACK_ROWS:
      packRows(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), thread, threads);
      break;
    case PACK_COLUMNS:
      // prettier-ignore
      packColumns(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), thread, threads);
      break;
    case ROWS_BY_PANELS:
      // prettier-ignore
      rowsByPanels(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), word(step, 9), word(step, 10), word(step, 11), word(step, 12), thread, threads);
      break;
    case TILES_BY_PANELS:
      // prettier-ignore
      tilesByPanels(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), thread, threads);
      break;
    case COLUMN_SUMS:
      columnSums(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), thread, threads);
      break;
    case TABLE_ROWS:
      tableRows(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), thread, threads);
      break;
    case ADD_TO_TABLE:
      addToTable(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), thread, threads);
      break;
    case ADD_ROWS:
      // prettier-ignore
      addRows(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), thread, threads);
      break;
    case REPEAT_GROUPS:
      // prettier-ignore
      repeatColumns(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), thread, threads);
      break;
    case ADD_GROUPS:
      // prettier-ignore
      addGroups(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), thread, threads);
      break;
    case NORM_ROWS:
      // prettier-ignore
      gatedRmsNorm(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), real(step, 7), word(step, 8), word(step, 9), word(step, 10), 0, word(step, 11), thread, threads);
      break;
    case NORM_GRADIENT:
      // prettier-ignore
      normGradient(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), real(step, 7), word(step, 8), word(step, 9), word(step, 10), word(step, 11), word(step, 12), word(step, 13), word(step, 14), word(step, 15), word(step, 16), word(step, 17), word(step, 18), word(step, 19), thread, threads);
      break;
    case GATE_ROWS:
      // prettier-ignore
      gate(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), thread, threads);
      break;
    case GATE_GRADIENT:
      // prettier-ignore
      gateGradient(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), word(step, 6), word(step, 7), word(step, 8), word(step, 9), word(step, 10), word(step, 11), word(step, 12), word(step, 13), word(step, 14), thread, threads);
      break;
    case SQUARES:
      squares(word(step, 0), word(step, 1), word(step, 2), thread, threads);
      break;
    case TOTAL:
      total(word(step, 0), word(step, 1), word(step, 2), thread);
      break;
    case ADAM_W:
      // prettier-ignore
      adamW(word(step, 0), word(step, 1), word(step, 2), word(step, 3), word(step, 4), word(step, 5), real(step, 6), real(step, 7), real(step, 8), real(step, 9), real(step, 10), real(step, 11), real(step, 12), real(step, 13), real(step, 14), word(step, 15), thread, threads);
      break;
    default:
      unreachable();
  }
}
