/** The largest numbers of a row without sorting all of it: a vocabulary has 100,000 logits, a filter keeps a few. */

import type { Vector } from '../../reference/tensor.ts';

/** Up to here a heap is quicker than sorting everything. */
const MOST_IN_HEAP = 1024;

/** The k-th largest number of a row without NaN, 1 ≤ k ≤ its length. */
export function kthLargest(row: Vector, k: number): number {
  if (k > MOST_IN_HEAP) return Float64Array.from(row).sort()[row.length - k];
  // the k largest so far, the smallest of them on top: heap[i] ≤ heap[2i + 1], heap[2i + 2]
  const heap = Float64Array.from(row.subarray(0, k)).sort();
  for (let i = k; i < row.length; i++) {
    const x = row[i];
    if (x <= heap[0]) continue;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= k) break;
      if (child + 1 < k && heap[child + 1] < heap[child]) child++;
      if (heap[child] >= x) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = x;
  }
  return heap[0];
}

/** Indices of a row from the largest number to the smallest, of equals the lower first; made as far as they are asked for. */
export function* fromLargest(row: Vector): Generator<number, void, undefined> {
  const heap = Int32Array.from({ length: row.length }, (_, i) => i);
  let size = heap.length;
  const isBefore = (a: number, b: number) => row[a] > row[b] || (row[a] === row[b] && a < b);
  const sink = (from: number, index: number) => {
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && isBefore(heap[child + 1], heap[child])) child++;
      if (!isBefore(heap[child], index)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = index;
  };
  for (let at = (size >> 1) - 1; at >= 0; at--) sink(at, heap[at]);
  while (size > 0) {
    yield heap[0];
    size--;
    if (size > 0) sink(0, heap[size]);
  }
}
