/** Draws tokens from logits as reference/sampling.ts does, with float32 exponentials in float64 sums. */

import {
  DRAW_BEST,
  DRAW_LARGEST,
  DRAW_LOGIT,
  DRAW_NUMBERS,
  DRAW_TEMPERATURE,
  DRAW_TOKEN,
  DRAW_TOTAL,
  DRAW_U,
  DRAW_WEIGHT,
  VOCAB_BLOCK,
} from '../abi';
import { exp4 } from './elementary';
import { firstLanes, largestOf } from './lanes';
import { take } from './share';

/**
 * Chooses a token of each row; see DRAW_… in abi.ts for what a draw says and is told.
 *
 * @param logits rows (rows, stride), of which vocabRows columns are read
 * @param vocabSize columns that are tokens, ≤ vocabRows
 * @param draws (rows, DRAW_NUMBERS) of float64
 * @param scratch for each thread: a float64 for each block of tokens, then VOCAB_BLOCK numbers
 * @param allowsRemoved whether −Infinity removes a token and is no fault
 */
export function choose(
  logits: usize,
  stride: u32,
  vocabSize: u32,
  vocabRows: u32,
  draws: usize,
  scratch: usize,
  scratchBytesPerThread: u32,
  allowsRemoved: u32,
  rows: u32,
  thread: u32,
  threads: u32,
): void {
  const own = scratch + <usize>thread * scratchBytesPerThread;
  for (let row = take(1); row < rows; row = take(1)) {
    const from = logits + ((<usize>row * stride) << 2);
    chooseOne(from, vocabSize, vocabRows, draws + <usize>row * (DRAW_NUMBERS << 3), own, allowsRemoved);
  }
}

function chooseOne(
  logits: usize,
  vocabSize: u32,
  vocabRows: u32,
  draw: usize,
  scratch: usize,
  allowsRemoved: u32,
): void {
  const least = allowsRemoved ? -<f32>Infinity : -f32.MAX_VALUE;
  const padding = logits + (<usize>vocabSize << 2);
  const best = largestAmong(logits, vocabSize, least);
  const largest = max<f32>(best, largestAmong(padding, vocabRows - vocabSize, least));
  put(draw, DRAW_LARGEST, largest);
  put(draw, DRAW_BEST, best);
  // max keeps NaN, which stands for a logit that is no number; without any token left there is nothing to choose
  if (largest != largest || best == -<f32>Infinity) {
    put(draw, DRAW_TOKEN, -1);
    return;
  }
  const temperature = <f32>number(draw, DRAW_TEMPERATURE);
  let weight: f64 = 1;
  let token: u32;
  if (temperature == 0) {
    token = firstOf(logits, best);
  } else {
    weight = sumBlocks(logits, vocabSize, best, temperature, scratch);
    const wanted = number(draw, DRAW_U) * weight;
    token = drawn(logits, vocabSize, best, temperature, wanted, scratch);
  }
  // over the tokens the same numbers as above, where nothing is divided and the largest is a token
  const isSame = temperature == 1 && largest == best;
  let total = isSame ? weight : sumOfAll(logits, vocabSize, largest);
  total += sumOfAll(padding, vocabRows - vocabSize, largest);
  put(draw, DRAW_TOKEN, token);
  put(draw, DRAW_LOGIT, load<f32>(logits + (<usize>token << 2)));
  put(draw, DRAW_TOTAL, total);
  put(draw, DRAW_WEIGHT, weight);
}

// @ts-ignore: decorator
@inline
function number(draw: usize, field: i32): f64 {
  return load<f64>(draw + (<usize>field << 3));
}

// @ts-ignore: decorator
@inline
function put(draw: usize, field: i32, value: f64): void {
  store<f64>(draw + (<usize>field << 3), value);
}

/** The largest of some logits, −Infinity of none; NaN where one is no number ≥ least. */
function largestAmong(logits: usize, count: u32, least: f32): f32 {
  const low = f32x4.splat(least);
  const high = f32x4.splat(f32.MAX_VALUE);
  const none = f32x4.splat(-<f32>Infinity);
  let most = none;
  let good = i32x4.splat(-1);
  for (let i: u32 = 0; i < count; i += 4) {
    const x = v128.load(logits + (<usize>i << 2));
    const isGood = v128.and(f32x4.ge(x, low), f32x4.le(x, high));
    const isOurs = firstLanes(count - i);
    good = v128.and(good, v128.or(isGood, v128.not(isOurs)));
    most = f32x4.pmax(most, v128.bitselect(x, none, isOurs));
  }
  return i32x4.all_true(good) ? largestOf(most) : <f32>NaN;
}

/** The first of the tokens that have a logit. */
function firstOf(logits: usize, logit: f32): u32 {
  const wanted = f32x4.splat(logit);
  let at = logits;
  // the logit is there, so the loop ends
  while (!v128.any_true(f32x4.eq(v128.load(at), wanted))) at += 16;
  while (load<f32>(at) != logit) at += 4;
  return <u32>((at - logits) >> 2);
}

/** e^((x − largest)/temperature) of four logits; 0 for those that are not ours. */
// @ts-ignore: decorator
@inline
function weights(at: usize, left: u32, largest: v128, temperature: v128): v128 {
  const e = exp4(f32x4.div(f32x4.sub(v128.load(at), largest), temperature));
  return v128.and(e, firstLanes(left));
}

/** Σ of four numbers in each of two sums of float64. */
// @ts-ignore: decorator
@inline
function addWide(sum: v128, e: v128): v128 {
  const high = v128.shuffle<f32>(e, e, 2, 3, 0, 1);
  return f64x2.add(sum, f64x2.add(f64x2.promote_low_f32x4(e), f64x2.promote_low_f32x4(high)));
}

// @ts-ignore: decorator
@inline
function sumOfWide(sum: v128): f64 {
  return f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1);
}

/** Puts the sum of each block's weights into scratch; returns the sum of all of them. */
function sumBlocks(
  logits: usize,
  count: u32,
  best: f32,
  temperature: f32,
  scratch: usize,
): f64 {
  const b = f32x4.splat(best);
  const t = f32x4.splat(temperature);
  let total: f64 = 0;
  let to = scratch;
  for (let from: u32 = 0; from < count; from += VOCAB_BLOCK) {
    const end = min<u32>(from + VOCAB_BLOCK, count);
    let wide = f64x2.splat(0);
    for (let i = from; i < end; i += 4) {
      wide = addWide(wide, weights(logits + (<usize>i << 2), end - i, b, t));
    }
    const sum = sumOfWide(wide);
    store<f64>(to, sum);
    to += 8;
    total += sum;
  }
  return total;
}

/** Σ e^(x − largest) in the order of sumBlocks. */
function sumOfAll(logits: usize, count: u32, largest: f32): f64 {
  const l = f32x4.splat(largest);
  const one = f32x4.splat(1);
  let total: f64 = 0;
  for (let from: u32 = 0; from < count; from += VOCAB_BLOCK) {
    const end = min<u32>(from + VOCAB_BLOCK, count);
    let wide = f64x2.splat(0);
    for (let i = from; i < end; i += 4) {
      wide = addWide(wide, weights(logits + (<usize>i << 2), end - i, l, one));
    }
    total += sumOfWide(wide);
  }
  return total;
}

/** The first token with which the cumulated weight exceeds `wanted`; the last of a block with any if rounding leaves none. */
function drawn(
  logits: usize,
  count: u32,
  best: f32,
  temperature: f32,
  wanted: f64,
  scratch: usize,
): u32 {
  const blocks = (count + VOCAB_BLOCK - 1) / VOCAB_BLOCK;
  let before: f64 = 0;
  let block: u32 = 0;
  // the sums were added up in this order before, and u < 1, so that they exceed u·total at the last one with any weight
  for (let sum: f64 = 0; block + 1 < blocks; block++) {
    sum = load<f64>(scratch + (<usize>block << 3));
    if (before + sum > wanted) break;
    before += sum;
  }
  const from = block * VOCAB_BLOCK;
  const own = min<u32>(VOCAB_BLOCK, count - from);
  const at = logits + (<usize>from << 2);
  const row = scratch + (<usize>blocks << 3);
  const b = f32x4.splat(best);
  const t = f32x4.splat(temperature);
  for (let i: u32 = 0; i < own; i += 4) {
    v128.store(row + (<usize>i << 2), weights(at + (<usize>i << 2), own - i, b, t));
  }
  let token: u32 = from;
  for (let i: u32 = 0; i < own; i++) {
    const weight = load<f32>(row + (<usize>i << 2));
    if (!(weight > 0)) continue;
    token = from + i;
    before += weight;
    if (before > wanted) break;
  }
  return token;
}
