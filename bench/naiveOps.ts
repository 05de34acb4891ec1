/** The ops that the naive port runs on: a gpu.js backend's, but each matrix is laid out for the device once. */

import { Scope } from '../backends/gpujs/scope.ts';
import type { Backend, RunOp } from '../backends/types.ts';
import { runOnOps } from '../lib/referenceOps.ts';
import type { Vector } from '../reference/tensor.ts';

const transposed = Scope.prototype.transposed;
const layouts = new WeakMap<Vector, Float32Array>();

/** Scope's own method, with a memory: the ops take any matrix, and would transpose a weight at every call. */
const transposedOnce: typeof transposed = function (this: Scope, t) {
  const [rows, columns] = t.shape;
  let layout = layouts.get(t.data);
  if (!layout) {
    layout = new Float32Array(t.data.length);
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++) layout[c * rows + r] = t.data[r * columns + c];
    }
    layouts.set(t.data, layout);
  }
  return this.put(layout, rows, columns);
};

/** Runs a backend's ops as a careful caller would have written them. */
export function naiveOps({ info, ops }: Backend): RunOp {
  const run = runOnOps(info.backend, ops);
  return async (name, input) => {
    Scope.prototype.transposed = transposedOnce;
    try {
      return await run(name, input);
    } finally {
      Scope.prototype.transposed = transposed;
    }
  };
}
