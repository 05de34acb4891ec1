/** Reports: curves are what counting says, text stays text. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aggregate } from '../lib/reasoning/aggregate.ts';
import type { LedgerChain } from '../lib/reasoning/chain.ts';
import { replay } from '../lib/reasoning/replay.ts';
import { measureThroughput } from '../lib/reasoning/throughput.ts';
import { curvesOf } from '../lib/report/curves.ts';
import { figuresOf } from '../lib/report/figures.ts';
import { html } from '../lib/report/html.ts';
import { pageText } from '../lib/report/page.ts';
import { fake } from './fakeExecutor.ts';
import { type Chain, ledgerOf, problem } from './ledgers.ts';
import { RUNS, SEED } from './support.ts';
import { elementsOf } from './svg.ts';

const parameters = { seed: SEED, numRuns: RUNS };

/** A ledger in which a chain ends at every second. */
const timed = (problems: readonly (readonly Chain[])[]): LedgerChain[] =>
  ledgerOf(problems).map((chain, i) => ({ ...chain, seconds: i + 1, tokens: 10, model: 'm' }));

describe('a replay', () => {
  it('says at every moment what counting the chains that had ended says', () => {
    fc.assert(
      fc.property(fc.array(problem, { minLength: 1, maxLength: 4 }), fc.nat(40), (problems, at) => {
        const chains = timed(problems);
        const [point] = replay(chains, problems.length, { seconds: [at] });
        const ended = chains.filter(({ seconds = 0 }) => seconds <= at);
        const solved = problems.filter((_, i) =>
          ended.some((chain) => chain.problem === i && chain.answer === 'a'),
        );
        expect(point.chains).toBe(ended.length);
        expect(point.solved.coverage).toBeCloseTo(solved.length / problems.length, 12);
      }),
      parameters,
    );
  });

  it('ends where all first chains are counted: a vote in the order in which they ended', () => {
    fc.assert(
      fc.property(fc.array(problem, { minLength: 1, maxLength: 4 }), (problems) => {
        const chains = timed(problems);
        const end = replay(chains, problems.length).at(-1);
        const votes = problems.map((own, i) => {
          const [one] = aggregate(
            chains.filter((chain) => chain.problem === i),
            { order: 'first', ks: [own.length], resamples: 2 },
          );
          return one.majority[own.length];
        });
        const mean = votes.reduce((sum, vote) => sum + vote, 0) / votes.length;
        expect(end?.solved.majority).toBeCloseTo(mean, 12);
      }),
      parameters,
    );
  });

  it('of chains without times is empty', () => {
    expect(replay(ledgerOf([[{ answer: 'a', reward: 1 }]]), 1)).toEqual([]);
  });
});

describe('curves', () => {
  const right: Chain = { answer: 'a', reward: 1 };
  const wrong: Chain = { answer: 'b', reward: 0 };

  it('have a second where the tokens of so many chains have their speed', () => {
    const chains = timed([
      [right, wrong],
      [wrong, wrong],
    ]);
    const [one] = curvesOf(chains, new Map());
    // 4 chains of 10 tokens in 4 seconds
    expect(one).toMatchObject({ name: 'm', meanTokens: 10, tokensPerSecond: 10 });
    expect(
      one.curves.coverage?.map(({ samples, seconds, value }) => [samples, seconds, value]),
    ).toEqual([
      [1, 1, 0.25],
      [2, 2, 0.5],
    ]);
    expect(one.replay.at(-1)).toMatchObject({ seconds: 2, chains: 4 });
  });

  it('count the seconds of a problem from its own start, where problems were solved one after the other', () => {
    const chains = timed([
      [right, wrong],
      [wrong, right],
    ]).map((chain) => ({
      ...chain,
      seconds: 1 + chain.sample,
    }));
    const [one] = curvesOf(chains, new Map(), { perProblem: new Set(['m']) });
    // 40 tokens in twice 2 seconds
    expect(one.tokensPerSecond).toBe(10);
    expect(one.replay.at(-1)).toMatchObject({ seconds: 2, solved: { coverage: 1 } });
    expect(one.replay[0]).toMatchObject({ seconds: 1, solved: { coverage: 0.5 } });
  });

  it('are as long as the model’s own chains allow, whatever the others have', () => {
    const many = timed([[right, wrong, right, wrong]]).map((chain) => ({
      ...chain,
      model: 'many',
    }));
    const few = timed([[right]]).map((chain) => ({ ...chain, model: 'few' }));
    const [one, other] = curvesOf([...many, ...few], new Map());
    expect(one.curves.coverage?.map(({ samples }) => samples)).toEqual([1]);
    expect(other.curves.coverage?.map(({ samples }) => samples)).toEqual([1, 2, 4]);
  });

  it('put the models in the order that is asked for', () => {
    const of = (model: string) => timed([[right]]).map((chain) => ({ ...chain, model }));
    const chains = ['a', 'b', 'c'].flatMap(of);
    const names = curvesOf(chains, new Map(), { names: ['c', 'a'] }).map(({ name }) => name);
    expect(names).toEqual(['c', 'a', 'b']);
  });
});

const HOSTILE = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onmouseover='alert(1)",
  '</pre></details><iframe src="javascript:alert(1)"></iframe>',
  '&lt;b&gt; &amp; \u202egnp.exe \u0000 \ud800',
  ']]><svg onload=alert(1)>',
  '<!-- <style>*{display:none}</style>',
];

describe('a page', () => {
  it('escapes whatever is put into it', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(...HOSTILE)), (text) => {
        const { text: made } = html`<p title="${text}">${text}</p>`;
        expect(made.replace(/^<p title="[^"<>]*">[^<>]*<\/p>$/, '')).toBe('');
        expect(made).not.toMatch(/&(?!(amp|lt|gt|quot|#39);)/);
      }),
      parameters,
    );
  });

  it('shows texts of models, names and questions as text, and no more elements than for plain ones', () => {
    const pageOf = (text: string) => {
      const chains = timed([[{ answer: 'a', reward: 1 }], [{ answer: 'b', reward: 0 }]]).map(
        (chain) => ({ ...chain, text, answer: text, correct: true, model: text }),
      );
      const models = curvesOf(chains, new Map());
      const figures = figuresOf(models, [text]);
      const shown = chains.map((chain) => ({ ...chain, isRight: true }));
      const page = { title: text, facts: [text], findings: [text], models, figures };
      return pageText({ ...page, examples: [{ question: text, gold: text, chains: shown }] });
    };
    // the figures' own documents are counted apart: hostile names may take more lines
    const count = (text: string) =>
      elementsOf(pageOf(text).replace(/<svg[\s\S]*?<\/svg>/g, '')).length;
    const plain = count('plain');
    expect(plain).toBeGreaterThan(30);
    for (const text of HOSTILE) {
      expect(count(text), text).toBe(plain);
      const page = pageOf(text);
      expect(page).not.toMatch(/<(script|img|iframe)/i);
      expect(page).toContain('content="default-src &#39;none&#39;;');
    }
  });
});

describe('speed', () => {
  it('is measured with more rows until that is no faster, and rows are released', async () => {
    let clock = 0;
    const one = fake({
      beforeStep: () => {
        clock += 10;
      },
    });
    // a step takes 10 ms and 1 ms more for each row beyond 16
    const { executor } = one;
    const step: typeof executor.step = async (rows, tokens) => {
      clock += Math.max(0, rows.length - 16);
      return executor.step(rows, tokens);
    };
    const curve = await measureThroughput(
      { ...executor, step },
      { prompt: [1, 2, 3], maxTokens: 8, now: () => clock, seconds: 0.01 },
    );
    expect(curve.points.map(({ rows }) => rows)).toEqual(
      [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024].slice(0, curve.points.length),
    );
    expect(curve.points[0].tokensPerSecond).toBeCloseTo(100, 6);
    expect(curve.points[4]).toEqual({ rows: 16, tokensPerSecond: 1600 });
    expect(curve.best.tokensPerSecond).toBeGreaterThan(
      0.97 * Math.max(...curve.points.map(({ tokensPerSecond }) => tokensPerSecond)),
    );
    expect(curve.byLength.map(({ context }) => context)).toEqual([3, 5, 7, 11]);
    expect(one.counts.live).toBe(0);
  });

  it('ends where memory does, and needs a prompt', async () => {
    const small = fake({ rows: 6 });
    const curve = await measureThroughput(small.executor, {
      prompt: [1],
      maxTokens: 4,
      seconds: 0,
    });
    expect(curve.end).toBe('memory');
    expect(curve.points.map(({ rows }) => rows)).toEqual([1, 2, 4]);
    expect(small.counts.live).toBe(0);
    const none = measureThroughput(small.executor, { prompt: [], maxTokens: 4 });
    await expect(none).rejects.toThrow(/^prompt: expected at least one token/);
  });
});
