/** Kernels of training by their number in a step, 40 to 59: layers. Compiled by both, TypeScript and AssemblyScript. */

export const FILL = 40;
export const PACK_ROWS = 41;
export const PACK_COLUMNS = 42;
export const ROWS_BY_PANELS = 43;
export const TILES_BY_PANELS = 44;
export const COLUMN_SUMS = 45;
export const TABLE_ROWS = 46;
export const ADD_TO_TABLE = 47;
export const ADD_ROWS = 48;
export const REPEAT_GROUPS = 49;
export const ADD_GROUPS = 50;
export const NORM_ROWS = 51;
export const NORM_GRADIENT = 52;
export const GATE_ROWS = 53;
export const GATE_GRADIENT = 54;
export const SQUARES = 55;
export const TOTAL = 56;
export const ADAM_W = 57;

/** Rows whose share of a parameter's gradient is summed up by itself. */
export const GRADIENT_ROWS = 32;
/** Numbers whose squares are summed up by themselves. */
export const SQUARES_BLOCK = 8192;
