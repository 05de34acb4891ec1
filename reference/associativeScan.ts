/**
 * Why a recurrence can run in parallel: "decay by a, then add b" composes with itself, and the composition
 * is associative. Four orders of composing, all with the same result.
 */

import { ConfigError } from './errors.ts';
import {
  copyAs,
  expectChunkLen,
  mainInput,
  type Rounding,
  rounding,
  type Tensor,
  type Vector,
} from './tensor.ts';

/** The order in which prefixes are composed. */
export type ScanMethod = 'sequential' | 'hillisSteele' | 'blelloch' | 'chunked';

export interface AssociativeScanInput {
  /** Decay of each step. Shape (lanes, seqlen). */
  a: Tensor;
  /** What each step adds. Shape (lanes, seqlen). */
  b: Tensor;
  /** Default `sequential`. */
  method?: ScanMethod;
  /** Tokens per chunk of the `chunked` method, ≥ 1. Default 16. */
  chunkLen?: number;
}

export interface AssociativeScanOutput {
  /** Product of the decays up to each step. Shape (lanes, seqlen). */
  a: Tensor;
  /** h[t] = a[t]·h[t−1] + b[t] from h[−1] = 0. Shape (lanes, seqlen). */
  b: Tensor;
}

/** One lane of pairs: the step (or composition of steps) at t is x ↦ a[t]·x + b[t]. */
interface Pairs {
  a: Vector;
  b: Vector;
}

/**
 * All prefixes of the composition  (a₂, b₂) ∘ (a₁, b₁) = (a₂·a₁, a₂·b₁ + b₂),  step 1 first.
 *
 * - `sequential`: one after the other; seqlen compositions, seqlen in a row.
 * - `hillisSteele`: in round r every step composes with the one 2^r before it; seqlen·log₂ seqlen
 *   compositions, log₂ seqlen in a row (Hillis & Steele 1986).
 * - `blelloch`: up a tree and down again; 2·seqlen compositions, 2·log₂ seqlen in a row (Blelloch 1990).
 * - `chunked`: sequential inside chunks, then along the chunks' ends, then into the chunks: what kernels do.
 *
 * Rounding differs between orders unless the inputs are such that no operation rounds.
 * @throws ShapeError when a and b differ in shape; ConfigError for an unknown method or chunkLen.
 */
export function associativeScan(input: AssociativeScanInput): AssociativeScanOutput {
  const { a, b, method = 'sequential', chunkLen = 16 } = input;
  const { sizes, check } = mainInput('associativeScan', 'a', a, ['lanes', 'seqlen']);
  const [lanes, seqlen] = sizes;
  check('b', b, { lanes, seqlen });
  expectChunkLen('associativeScan', chunkLen);
  const scan = SCANS.get(method);
  if (!scan) {
    throw new ConfigError(
      `associativeScan: method: expected one of ${[...SCANS.keys()].join(', ')}, got ${method}`,
    );
  }
  const out: Pairs = { a: copyAs(a.data, a.data), b: copyAs(b.data, a.data) };
  for (let lane = 0; lane < lanes; lane++) {
    const [from, to] = [lane * seqlen, (lane + 1) * seqlen];
    const pairs = { a: out.a.subarray(from, to), b: out.b.subarray(from, to) };
    scan(pairs, composer(rounding(a.data)), chunkLen);
  }
  return { a: { data: out.a, shape: a.shape }, b: { data: out.b, shape: b.shape } };
}

/** Replaces step `second` of `into` by `second ∘ first`, with `first` taken from another lane. */
type Compose = (from: Pairs, first: number, into: Pairs, second: number) => void;

function composer(fl: Rounding): Compose {
  return (from, first, into, second) => {
    const a2 = into.a[second];
    into.b[second] = fl(fl(a2 * from.b[first]) + into.b[second]);
    into.a[second] = fl(a2 * from.a[first]);
  };
}

const SCANS = new Map<string, (p: Pairs, compose: Compose, chunkLen: number) => void>([
  ['sequential', sequential],
  ['hillisSteele', hillisSteele],
  ['blelloch', blelloch],
  ['chunked', chunked],
]);

function sequential(p: Pairs, compose: Compose): void {
  for (let t = 1; t < p.a.length; t++) compose(p, t - 1, p, t);
}

function hillisSteele(p: Pairs, compose: Compose): void {
  for (let reach = 1; reach < p.a.length; reach *= 2) {
    const before = { a: p.a.slice(), b: p.b.slice() };
    for (let t = reach; t < p.a.length; t++) compose(before, t - reach, p, t);
  }
}

function blelloch(p: Pairs, compose: Compose): void {
  // a tree over the next power of two; leaves beyond the end are the identity (1, 0)
  const seqlen = p.a.length;
  let size = 1;
  while (size < seqlen) size *= 2;
  const tree: Pairs = { a: new Float64Array(size).fill(1), b: new Float64Array(size) };
  tree.a.set(p.a);
  tree.b.set(p.b);
  for (let half = 1; half < size; half *= 2) {
    // up: the right node of each pair takes in the left one
    for (let t = 2 * half - 1; t < size; t += 2 * half) compose(tree, t - half, tree, t);
  }
  tree.a[size - 1] = 1;
  tree.b[size - 1] = 0;
  for (let half = size / 2; half >= 1; half /= 2) {
    // down: the left node gets what came before its parent, the right node that and then the left
    for (let t = 2 * half - 1; t < size; t += 2 * half) {
      const left = {
        a: tree.a.slice(t - half, t - half + 1),
        b: tree.b.slice(t - half, t - half + 1),
      };
      tree.a[t - half] = tree.a[t];
      tree.b[t - half] = tree.b[t];
      compose(tree, t, left, 0);
      tree.a[t] = left.a[0];
      tree.b[t] = left.b[0];
    }
  }
  // each leaf now holds the composition of all steps before it
  for (let t = 0; t < seqlen; t++) compose(tree, t, p, t);
}

function chunked(p: Pairs, compose: Compose, chunkLen: number): void {
  for (let start = 0; start < p.a.length; start += chunkLen) {
    const end = Math.min(start + chunkLen, p.a.length);
    for (let t = start + 1; t < end; t++) compose(p, t - 1, p, t);
    if (start > 0) for (let t = start; t < end; t++) compose(p, start - 1, p, t);
  }
}
