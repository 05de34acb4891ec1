/** What must hold of decoding many chains: a chain is what it is alone. */

import { collect, type EndEvent } from '../../decode/events.ts';
import { generate } from '../../decode/generate.ts';
import type { GenerateOptions } from '../../decode/options.ts';
import { demand } from '../compare.ts';
import type { Draws } from '../values.ts';
import { type EngineLaw, engineLaw, someTokens } from './engineLaw.ts';

const asText = (ends: readonly EndEvent[]) => ends.map((end) => JSON.stringify(end));

function demandSame(what: string, got: string, want: string): void {
  demand(got === want, `${what}: want ${want}, got ${got}`);
}

/** Every way of choosing a token that a run may have. */
function someOptions(draws: Draws, vocabSize: number): GenerateOptions {
  const pick = draws.below(4);
  return {
    seed: draws.below(1000),
    maxTokens: 1 + draws.below(8),
    temperature: [1, 0.7, 0, 1.3][draws.below(4)],
    stopTokens: [draws.below(vocabSize)],
    ...(pick === 1 && { topK: 1 + draws.below(4) }),
    ...(pick === 2 && { topP: 0.5 + draws.uniform() / 2 }),
    ...(pick === 3 && { repetitionPenalty: 1.5 }),
  };
}

export const CHAIN_LAWS: readonly EngineLaw[] = [
  engineLaw('a chain made again alone is the chain in its batch', async (setting) => {
    const { executor, loaded, draws } = setting;
    const { vocabRows, vocabSize } = loaded.config;
    const prompts = Array.from({ length: 1 + draws.below(4) }, () =>
      someTokens(draws, vocabRows, 1 + draws.below(7)),
    );
    prompts.push(prompts[0]); // equal prompts are taken in once, and are chains of their own all the same
    const options = { ...someOptions(draws, vocabSize), backend: executor };
    const many = { samples: 1 + draws.below(4), maxRows: 1 + draws.below(9) };
    const place = { firstPrompt: draws.below(5), firstSample: draws.below(5) };
    const batch = await collect(generate(loaded, prompts, { ...options, ...many, ...place }));
    demand(batch.length === prompts.length * many.samples, `chains: got ${batch.length}`);
    for (const end of batch) {
      const { prompt: firstPrompt, sample: firstSample } = end;
      const prompt = prompts[firstPrompt - place.firstPrompt];
      const alone = generate(loaded, [prompt], { ...options, firstPrompt, firstSample });
      const [got] = asText(await collect(alone));
      demandSame(`prompt ${firstPrompt}, sample ${firstSample}`, got, JSON.stringify(end));
    }
  }),

  engineLaw(
    'the number of rows at a time changes no chain',
    async ({ executor, loaded, draws }) => {
      const { vocabRows, vocabSize } = loaded.config;
      const prompts = [3, 1, 5].map((length) => someTokens(draws, vocabRows, length));
      const options = { ...someOptions(draws, vocabSize), samples: 3, backend: executor };
      const want = asText(await collect(generate(loaded, prompts, { ...options, maxRows: 1 })));
      for (const maxRows of [2, 3 + draws.below(5), 64]) {
        const got = await collect(generate(loaded, prompts, { ...options, maxRows }));
        asText(got).forEach((end, i) => {
          demandSame(`maxRows ${maxRows}`, end, want[i]);
        });
      }
    },
  ),

  engineLaw(
    'greedy chains do not depend on the order of prompts, and equal prompts give equal chains',
    async (setting) => {
      const { executor, loaded, draws } = setting;
      const distinct = [2, 1, 4].map((length) =>
        someTokens(draws, loaded.config.vocabRows, length),
      );
      const order = Array.from({ length: 12 }, () => draws.below(3));
      const options = {
        temperature: 0,
        maxTokens: 5,
        maxRows: 1 + draws.below(6),
        backend: executor,
      };
      const want = await collect(generate(loaded, distinct, options));
      const prompts = order.map((i) => distinct[i]);
      // the same prompts again, each taken in by itself: one call for every prompt
      const apart = await Promise.all(
        order.map(async (i) => (await collect(generate(loaded, [distinct[i]], options)))[0]),
      );
      const together = await collect(generate(loaded, prompts, options));
      const said = ({ tokens, logprob }: EndEvent) => JSON.stringify([tokens, logprob]);
      order.forEach((i, at) => {
        demandSame(`prompt ${at} among others`, said(together[at]), said(want[i]));
        demandSame(`prompt ${at} in calls side by side`, said(apart[at]), said(want[i]));
      });
    },
  ),

  engineLaw('the likeliest token where the logits are is the likeliest here', async (setting) => {
    const { executor, loaded, draws } = setting;
    const prompts = [2, 5].map((length) => someTokens(draws, loaded.config.vocabRows, length));
    const options = { temperature: 0, maxTokens: 6, backend: executor };
    const there = await collect(generate(loaded, prompts, options));
    // whoever watches makes the tokens be drawn here
    const here = await collect(generate(loaded, prompts, { ...options, trace: () => {} }));
    here.forEach(({ tokens }, i) => {
      demandSame(`prompt ${i}`, there[i].tokens.join(), tokens.join());
    });
  }),
];
