/** From the reference's layouts to the device's, which has the last axis of weights and states outside. */

/** (batch, rows, columns) as (batch, columns, rows). */
export function swapLast(
  data: ArrayLike<number>,
  batch: number,
  rows: number,
  columns: number,
): Float32Array {
  const out = new Float32Array(data.length);
  for (let b = 0; b < batch; b++) {
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) {
        out[(b * columns + c) * rows + r] = data[(b * rows + r) * columns + c];
      }
    }
  }
  return out;
}
