/**
 * The majority vote of k random chains out of n, exactly.
 *
 * With c_i chains of answer i, a subset holds s_i of them with the probability
 *
 *   Π_i C(c_i, s_i) / C(n, k) = Π_i b(s_i; c_i) / b(k; n),   b(s; c) = C(c, s) p^s (1 − p)^(c − s),
 *
 * for any p (we take k / n, so that nothing overflows). Answer w wins a share 1 / (j + 1) of the subsets in which it has t
 * votes, j others have as many, and none has more. These are counted answer by answer; all terms are positive, so rounding
 * stays below some n · 2⁻⁵².
 */

export interface ExpectedMajorityInput {
  /** Chains of each answer, ≥ 1. */
  readonly counts: readonly number[];
  /** Of each answer, how right it is, in [0, 1]. */
  readonly rightness: ArrayLike<number>;
  /** Chains without an answer. */
  readonly withoutAnswer: number;
  /** Size of the subsets, 1 ≤ k < n. */
  readonly k: number;
  readonly ties: 'split' | 'none';
}

/** How right the majority of k is on average over all subsets. */
export function expectedMajority(input: ExpectedMajorityInput): number {
  const { counts, rightness, withoutAnswer, k, ties } = input;
  const n = counts.reduce((sum, count) => sum + count, withoutAnswer);
  const known = new Map<number, Float64Array>();
  const binomial = (count: number): Float64Array => {
    const before = known.get(count);
    if (before) return before;
    const made = binomialWeights(count, k / n);
    known.set(count, made);
    return made;
  };
  let right = 0;
  counts.forEach((count, winner) => {
    if (rightness[winner] === 0) return;
    let wins = 0;
    for (let t = 1; t <= Math.min(count, k); t++) {
      const rivals = counts.filter((other, i) => i !== winner && other >= t);
      // those with fewer than t chains can do what they like
      const free = n - count - rivals.reduce((sum, rival) => sum + rival, 0);
      const others = rivals.map(binomial);
      wins += binomial(count)[t] * othersBelow(others, binomial(free), t, k - t, ties);
    }
    right += rightness[winner] * wins;
  });
  return right / binomial(n)[k];
}

/**
 * Weight of all ways in which rivals and free chains fill `size` places, each rival at most t of them; those with j rivals at
 * t count 1 / (j + 1), with ties `none` only those with j = 0.
 */
function othersBelow(
  rivals: readonly Float64Array[],
  free: Float64Array,
  t: number,
  size: number,
  ties: 'split' | 'none',
): number {
  const mostTied = ties === 'none' ? 0 : Math.min(rivals.length, Math.floor(size / t));
  // ways[j][x]: x places filled, j rivals at t
  const ways = Array.from({ length: mostTied + 1 }, () => new Float64Array(size + 1));
  ways[0][0] = 1;
  rivals.forEach((rival, done) => {
    // downwards, so that what is read is still without this rival
    for (let j = Math.min(mostTied, done + 1); j >= 0; j--) {
      const [row, lower] = [ways[j], ways[j - 1]];
      for (let x = size; x >= 0; x--) {
        let sum = 0;
        for (let s = Math.min(t - 1, x); s >= 0; s--) sum += row[x - s] * rival[s];
        if (j > 0 && x >= t) sum += lower[x - t] * rival[t];
        row[x] = sum;
      }
    }
  });
  let total = 0;
  ways.forEach((row, j) => {
    let sum = 0;
    for (let x = Math.max(0, size + 1 - free.length); x <= size; x++)
      sum += row[x] * free[size - x];
    total += sum / (j + 1);
  });
  return total;
}

/** b(s; count) for s = 0 … count, from the most likely one outwards. 0 < p < 1. */
function binomialWeights(count: number, p: number): Float64Array {
  const weights = new Float64Array(count + 1);
  const mode = Math.min(count, Math.floor((count + 1) * p));
  const odds = p / (1 - p);
  weights[mode] = 1;
  for (let s = mode; s < count; s++) weights[s + 1] = (weights[s] * odds * (count - s)) / (s + 1);
  for (let s = mode; s > 0; s--) weights[s - 1] = (weights[s] * s) / (odds * (count - s + 1));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** Multiplications that expectedMajority takes, about. */
export function majorityCost({ counts, rightness, k, ties }: ExpectedMajorityInput): number {
  let cost = 0;
  counts.forEach((count, winner) => {
    if (rightness[winner] === 0) return;
    for (let t = 1; t <= Math.min(count, k); t++) {
      const rivals = counts.filter((other) => other >= t).length;
      const mostTied = ties === 'none' ? 0 : Math.min(rivals, Math.floor((k - t) / t));
      cost += rivals * (mostTied + 1) * (k - t + 1) * t + count;
    }
  });
  return cost;
}
