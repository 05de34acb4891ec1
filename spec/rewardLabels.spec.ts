/** What is right about a chain, place by place, and how well scores tell it. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chainTokens, type EndTokens } from '../lib/reward/chains.ts';
import { countsOf, labelChain } from '../lib/reward/labels.ts';
import { separationOf } from '../lib/reward/measures.ts';
import { createTask } from '../lib/tasks/catalogue.ts';
import { encodeText, SPECIAL_IDS, VOCABULARY } from '../lib/tasks/vocabulary.ts';
import { TASK_ENDS } from './rewards.ts';
import { SEED } from './support.ts';

describe('labels', () => {
  const task = createTask('listops-cot', 'tiny');
  const problem = task.problem(1, 0); // MIN 8 7 6 = 6 ; MIN 0 6 6 = 0 ; # 0
  const prompt = [SPECIAL_IDS.bos, ...encodeText(problem.prompt)];
  const labelsOf = (chain: readonly number[]) =>
    labelChain(chainTokens(prompt, chain, TASK_ENDS), prompt.length, task, problem);
  /** The labels at the ends of steps and of the chain. */
  const known = (chain: readonly number[]) => {
    const { labels, stepEnds, isEnded } = labelsOf(chain);
    return [...stepEnds, ...(isEnded ? [labels.length - 1] : [])].map((end) => labels[end]);
  };
  const whole = (text: string) => [...encodeText(text), SPECIAL_IDS.eos];

  it.each([
    ['the right chain', whole(problem.chain), [1, 1, 1]],
    ['an untrue step', whole('MIN 8 7 6 = 7 ; MIN 0 6 6 = 0 ; # 0'), [0, 0, 1]],
    ['a wrong second step', whole('MIN 8 7 6 = 6 ; MIN 0 6 6 = 6 ; # 6'), [1, 0, 0]],
    ['steps in another order', whole('MIN 0 6 6 = 0 ; MIN 8 7 6 = 6 ; # 0'), [0, 0, 1]],
    ['a step too many', whole('MIN 8 7 6 = 6 ; MIN 0 6 6 = 0 ; ; # 0'), [1, 1, 0, 1]],
    ['no conclusion', whole('MIN 8 7 6 = 6 ; MIN 0 6 6 = 0 ;'), [1, 1, 0]],
    ['a chain cut off', encodeText('MIN 8 7 6 = 6 ; MIN 0 6 6 = 0 ; # 0'), [1, 1]],
    ['an end at once', [SPECIAL_IDS.eos], [0]],
    ['nothing', [], []],
    // the digit makes one word with the end of the step, which then ends none
    ['a joined digit', [...encodeText('MIN 8 7 6 = 6 ;'), VOCABULARY.indexOf('##3')], [1]],
  ])('of %s', (_, chain, labels) => {
    expect(known(chain)).toEqual(labels);
  });

  it('say of each token whether all is right so far, until one is wrong; nothing of the prompt', () => {
    const within = (text: string) => {
      const { tokens, labels } = labelsOf(whole(text));
      expect(labels.slice(0, prompt.length)).toEqual(prompt.map(() => -100));
      const name = (label: number) => (label < 0 ? '' : `/${label}`);
      const told = labels.map((label, i) => `${VOCABULARY[tokens[i]]}${name(label)}`);
      return told.slice(prompt.length).join(' ');
    };
    expect(within('MIN 8 6 = 6 ; MIN 0 6 6 = 0 ; # 0')).toBe(
      'MIN/1 8/1 6/0 = 6 ;/0 MIN 0 6 6 = 0 ;/0 # 0 </s>/1',
    );
    expect(within(problem.chain)).not.toMatch(/\/0|[^10] /);
    expect(within(`${problem.chain} 1`)).toMatch(/#\/1 0\/1 1\/0 <\/s>\/0$/);
  });

  it('stand at the ends of steps of the chain, not of the prompt', () => {
    const semicolon = encodeText(';')[0];
    const { stepEnds } = chainTokens([semicolon, semicolon], whole(problem.chain), TASK_ENDS);
    expect(stepEnds).toHaveLength(2);
    expect(stepEnds[0]).toBeGreaterThan(1);
  });

  it('never come right again after a wrong step, whatever is written', () => {
    const beginning = encodeText(problem.chain);
    const token = fc.oneof(fc.nat(VOCABULARY.length - 1), fc.constant(encodeText(';')[0]));
    const chains = fc.tuple(fc.nat(beginning.length), fc.array(token, { maxLength: 30 }));
    const law = fc.property(chains, ([length, rest]) => {
      const chain = [...beginning.slice(0, length), ...rest];
      const steps = known(chain[chain.length - 1] === SPECIAL_IDS.eos ? chain.slice(0, -1) : chain);
      expect(steps).toEqual([...steps].sort((a, b) => b - a));
    });
    fc.assert(law, { seed: SEED, numRuns: 300 });
  });

  it('are counted', () => {
    const cut = encodeText('MIN 8 7 6 = 6 ; MIN');
    const wrong = whole('MIN 8 7 6 = 7 ; # 1');
    const chains = [whole(problem.chain), wrong, cut].map(labelsOf);
    expect(countsOf(chains)).toEqual({
      chains: 3,
      ended: 2,
      right: 0.5,
      steps: 4,
      rightSteps: 0.75,
    });
  });
});

describe('how well scores tell right from wrong', () => {
  const judged = fc.array(
    fc.record({ score: fc.constantFrom(0, 0.2, 0.5, 0.7, 1), is: fc.boolean() }),
    {
      minLength: 1,
      maxLength: 30,
    },
  );

  it('is the share of pairs in which the right one scores higher', () => {
    const law = fc.property(judged, (drawn) => {
      const { auc, right, accuracy, count } = separationOf(
        drawn.map(({ score }) => score),
        drawn.map(({ is }) => is),
      );
      const rights = drawn.filter(({ is }) => is);
      const wrongs = drawn.filter(({ is }) => !is);
      const won = rights.flatMap((a) =>
        wrongs.map((b) => (a.score > b.score ? 1 : a.score === b.score ? 0.5 : 0)),
      );
      const pairs = rights.length * wrongs.length;
      if (pairs === 0) expect(auc).toBeUndefined();
      else expect(auc).toBeCloseTo(won.reduce((sum: number, one) => sum + one, 0) / pairs, 12);
      expect(right).toBeCloseTo(rights.length / count, 12);
      const hits = drawn.filter(({ score, is }) => (score > 0.5 ? is : !is)).length;
      expect(accuracy).toBeCloseTo(hits / count, 12);
    });
    fc.assert(law, { seed: SEED, numRuns: 200 });
  });

  it('is nothing of nothing', () => {
    expect(() => separationOf([], [])).toThrow(/at least one, got 0 and 0/);
  });
});

it('ends of steps and chains are found by the tokens that a config names', () => {
  const ends: EndTokens = { eosTokens: [9, 8], reward: {} };
  expect(chainTokens([1, 24], [24, 5, 8], ends)).toMatchObject({ stepEnds: [], isEnded: true });
  expect(chainTokens([1, 9], [], ends)).toMatchObject({ isEnded: false });
});
