/** What must hold of the ops that choose tokens and judge chains. */

import type { SamplingStep } from '../../../reference/sampling.ts';
import { type Tensor, zeros } from '../../../reference/tensor.ts';
import { exactly } from '../approx.ts';
import { INPUTS } from '../arbitraries.ts';
import { demand, expectSameOutputs } from '../compare.ts';
import { type Law, law } from './law.ts';
import { sameness } from './sameness.ts';

const rowsOf = ({ data, shape }: Tensor): number[][] => {
  const width = shape[1];
  return Array.from({ length: shape[0] }, (_, r) =>
    Array.from(data.subarray(r * width, (r + 1) * width)),
  );
};

const FILTERS: ReadonlySet<SamplingStep['kind']> = new Set(['topK', 'topP', 'minP']);

export const filterLaws: Law[] = [
  law(
    'filterLogits',
    'applies its steps one after the other',
    INPUTS.filterLogits,
    async (subject, input) => {
      const { run } = subject;
      const turned = { ...input, steps: [...input.steps].reverse() };
      let worst = 0;
      for (const given of [input, turned]) {
        let { logits } = given;
        for (const step of given.steps) {
          logits = (await run('filterLogits', { ...given, logits, steps: [step] })).logits;
        }
        const same = await sameness(subject, 'filterLogits', given, { logits });
        worst = Math.max(worst, same(await run('filterLogits', given)));
      }
      return worst;
    },
  ),
  law(
    'filterLogits',
    'removes or leaves, and leaves at least one token',
    INPUTS.filterLogits,
    async ({ run }, input) => {
      const steps = input.steps.filter(({ kind }) => FILTERS.has(kind));
      const { logits } = await run('filterLogits', { ...input, steps });
      rowsOf(logits).forEach((row, r) => {
        const before = rowsOf(input.logits)[r];
        row.forEach((x, i) => {
          demand(x === before[i] || x === -Infinity, `token ${i}: ${before[i]} became ${x}`);
        });
        const best = Math.max(...before);
        demand(row.includes(best), `the likeliest token (logit ${best}) was removed`);
      });
      return 0;
    },
  ),
  law(
    'filterLogits',
    'top-k keeps the k largest and what equals the last of them',
    INPUTS.filterLogits,
    async ({ run }, input) => {
      for (let k = 1; k <= input.logits.shape[1] + 1; k++) {
        const steps: SamplingStep[] = [{ kind: 'topK', k }];
        const { logits } = await run('filterLogits', { ...input, steps });
        rowsOf(logits).forEach((row, r) => {
          const before = rowsOf(input.logits)[r];
          row.forEach((x, i) => {
            const larger = before.filter((other) => other > before[i]).length;
            demand(
              larger < k === (x === before[i]),
              `k = ${k}: token ${i} with ${larger} larger ones is ${x}`,
            );
          });
        });
      }
      return 0;
    },
  ),
  law(
    'filterLogits',
    'does nothing at the neutral value of every option',
    INPUTS.filterLogits,
    async (subject, input) => {
      const steps: SamplingStep[] = [
        { kind: 'logitBias', bias: new Map() },
        { kind: 'repetitionPenalty', penalty: 1 },
        { kind: 'temperature', temperature: 1 },
        { kind: 'topK', k: input.logits.shape[1] },
        { kind: 'topP', p: 1 },
        { kind: 'minP', p: 0 },
      ];
      const neutral = { ...input, steps };
      const same = await sameness(subject, 'filterLogits', neutral, { logits: input.logits });
      return same(await subject.run('filterLogits', neutral));
    },
  ),
];

export const choiceLaws: Law[] = [
  law(
    'chooseToken',
    'inverts the cumulative distribution',
    INPUTS.chooseToken,
    async ({ run, calc }, input) => {
      const { tokens, logprobs } = await run('chooseToken', input);
      let worst = 0;
      rowsOf(input.logits).forEach((row, r) => {
        const max = exactly(Math.max(...row));
        const weights = row.map((x) => calc.exp(calc.sub(exactly(x), max)));
        const total = calc.sum(weights);
        const before = calc.sum(weights.slice(0, tokens[r]));
        const after = calc.sum(weights.slice(0, tokens[r] + 1));
        demand(row[tokens[r]] > -Infinity, `token ${tokens[r]} was removed and is chosen`);
        // u·total lies in [before, after), as far as the arithmetic can tell
        const u = calc.mul(exactly(input.u[r]), total);
        const low = (before.value - u.value) / (before.error + u.error);
        const high = (u.value - after.value) / (after.error + u.error);
        demand(low <= 1 && high <= 1, `u = ${input.u[r]} does not fall on token ${tokens[r]}`);
        const want = calc.sub(calc.sub(exactly(row[tokens[r]]), max), calc.log(total));
        const share = Math.abs(logprobs[r] - want.value) / want.error;
        demand(share <= 1, `logprob: want ${want.value}, got ${logprobs[r]}`);
        worst = Math.max(worst, share);
      });
      return worst;
    },
  ),
  law(
    'chooseToken',
    'goes on to the next token where the sum only reaches u',
    INPUTS.chooseToken.filter(({ input }) => input.logits.shape[1] <= 12),
    async ({ run }, { logits }) => {
      // eight equal logits: weights of 1, whose sums are exact in any arithmetic
      const flat = { data: zeros(8 * 8, logits.data), shape: [8, 8] };
      const u = Array.from({ length: 8 }, (_, k) => k / 8);
      const { tokens } = await run('chooseToken', { logits: flat, u });
      demand(tokens.join() === '0,1,2,3,4,5,6,7', `tokens: want 0 to 7 for u = k/8, got ${tokens}`);
      return 0;
    },
  ),
  law('greedyToken', 'is the first of the largest', INPUTS.greedyToken, async ({ run }, input) => {
    const { tokens } = await run('greedyToken', input);
    const want = rowsOf(input.logits).map((row) => row.indexOf(Math.max(...row)));
    demand(tokens.join() === want.join(), `tokens: want ${want}, got ${tokens}`);
    return 0;
  }),
];

/** C(n, k) exactly. */
function binomial(n: number, k: number): bigint {
  let result = 1n;
  for (let i = 0; i < k; i++) result = (result * BigInt(n - i)) / BigInt(i + 1);
  return result;
}

/** Numerator / denominator to 53 bits and more. */
function ratio(numerator: bigint, denominator: bigint): number {
  return Number((numerator * 10n ** 20n) / denominator) / 1e20;
}

export const voteLaws: Law[] = [
  law(
    'majorityVote',
    'is the weighted vote of equal weights',
    INPUTS.majorityVote,
    async ({ run }, input) => {
      const weights = input.answers.map(() => 1);
      expectSameOutputs(
        await run('weightedVote', { ...input, weights }),
        await run('majorityVote', input),
      );
      return 0;
    },
  ),
  law(
    'weightedVote',
    'does not depend on the order of the chains, unless the first wins',
    INPUTS.weightedVote,
    async ({ run }, input) => {
      const ties = input.ties === 'first' ? 'split' : input.ties;
      const turned = {
        answers: [...input.answers].reverse(),
        weights: [...input.weights].reverse(),
        ties,
      };
      const byAnswer = ({ winners }: { winners: { answer: string; share: number }[] }) =>
        JSON.stringify([...winners].sort((a, b) => (a.answer < b.answer ? -1 : 1)));
      const [one, other] = [
        await run('weightedVote', { ...input, ties }),
        await run('weightedVote', turned),
      ];
      demand(
        byAnswer(one) === byAnswer(other),
        `winners: ${byAnswer(one)}, reversed ${byAnswer(other)}`,
      );
      return 0;
    },
  ),
  law(
    'weightedVote',
    'lets an answer win that no other outweighs',
    INPUTS.weightedVote,
    async ({ run }, input) => {
      const { winners } = await run('weightedVote', input);
      const total = (answer: string) =>
        input.answers.reduce((sum, a, i) => (a === answer ? sum + input.weights[i] : sum), 0);
      const answers = [...new Set(input.answers.filter((a) => a !== null))];
      const most = Math.max(...answers.map(total));
      const best = answers.filter((answer) => total(answer) === most);
      const want = { first: best.slice(0, 1), split: best, none: best.length === 1 ? best : [] };
      const got = winners.map(({ answer }) => answer);
      demand(
        got.join() === want[input.ties ?? 'first'].join(),
        `winners: want ${best}, got ${got}`,
      );
      const shares = winners.reduce((sum, { share }) => sum + share, 0);
      demand(winners.length === 0 || Math.abs(shares - 1) < 1e-12, `shares sum to ${shares}`);
      return 0;
    },
  ),
  law('bestOfN', 'is the first of the best', INPUTS.bestOfN, async ({ run }, { rewards }) => {
    const { best } = await run('bestOfN', { rewards });
    const isFirst = rewards.every(
      (r, i) => r < rewards[best] || (r === rewards[best] && i >= best),
    );
    demand(isFirst, `best: ${best} of ${rewards}`);
    return 0;
  }),
  law(
    'aggregateStepScores',
    'lies between the worst and the best step, unless it multiplies',
    INPUTS.aggregateStepScores,
    async ({ run }, { scores, method }) => {
      const { score } = await run('aggregateStepScores', { scores, method });
      const [least, most] = [Math.min(...scores), Math.max(...scores)];
      if (method === 'product')
        demand(Math.abs(score) <= 1, `score: ${score}`); // all scores are in [−1, 1]
      else demand(score >= least && score <= most, `score: ${score} of ${scores}`);
      if (method === 'min') demand(score === least, `score: ${score} of ${scores}`);
      if (method === 'last') demand(score === scores.at(-1), `score: ${score} of ${scores}`);
      if (scores.every((s) => s === scores[0]) && method !== 'product') {
        demand(score === scores[0], `score: ${score} of ${scores}`);
      }
      return 0;
    },
  ),
  law(
    'passAtK',
    'equals the ratio of binomials, to 1e-12',
    INPUTS.passAtK,
    async ({ run }, input) => {
      const { nSamples: n, nCorrect: c, k } = input;
      const { probability } = await run('passAtK', input);
      const want = ratio(binomial(n, k) - (n - c >= k ? binomial(n - c, k) : 0n), binomial(n, k));
      const off = Math.abs(probability - want);
      demand(off <= 1e-12, `probability: want ${want}, got ${probability}`);
      return off / 1e-12;
    },
  ),
];
