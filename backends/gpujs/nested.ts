/** Flat arrays as the nested rows that gpu.js uses on the host, and back. */

import type { Dims } from './kernel.ts';

/** Views of a flat array as the nested rows that gpu.js uses on the host. */
export function nested(data: Float32Array, dims: Dims): unknown {
  if (dims.length <= 1) return data;
  const outer = dims[dims.length - 1];
  const inner = dims.slice(0, -1);
  const size = data.length / outer;
  return Array.from({ length: outer }, (_, i) =>
    nested(data.subarray(i * size, (i + 1) * size), inner),
  );
}

/** The numbers of nested rows, one after another. */
export function flat(rows: unknown, size: number): Float32Array {
  const all = new Float32Array(size);
  let at = 0;
  const copy = (part: unknown) => {
    if (part instanceof Float32Array) {
      all.set(part, at);
      at += part.length;
    } else for (const inner of part as unknown[]) copy(inner);
  };
  copy(rows);
  return all;
}
