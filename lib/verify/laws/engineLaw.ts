/** Laws of decoding: nothing that runs beside a sequence, before it or instead of it shows in it. */

import type { Executor } from '../../../backends/types.ts';
import type { Model } from '../../../reference/model.ts';
import type { Precision } from '../../../reference/tensor.ts';
import type { LoadedModel } from '../../loadModel.ts';
import { drawnModel, modelOf, type RandomModel } from '../randomModel.ts';
import { Draws } from '../values.ts';
import type { LawOf } from './law.ts';

/** Something that decodes models. It is judged by itself: a chain alone against the same chain among others. */
export interface EngineSubject {
  open(model: Model): Executor | Promise<Executor>;
  precision: Precision;
  /**
   * Whether taking in a prompt gives the bits of taking in its tokens one by one. Going back in time takes tokens in
   * again one by one.
   */
  isStepwise: boolean;
}

export type EngineLaw = LawOf<EngineSubject>;

/** What a law is tried on. */
export interface Setting {
  executor: Executor;
  loaded: LoadedModel;
  draws: Draws;
  isStepwise: boolean;
}

/** States a law over random models of every kind of layer. */
export function engineLaw(law: string, check: (setting: Setting) => Promise<void>): EngineLaw {
  return {
    law,
    inputs: drawnModel(),
    check: async ({ open, precision, isStepwise }, input) => {
      const random = input as RandomModel;
      const model = modelOf(random, precision);
      const executor = await open(model);
      try {
        const loaded = loadedFrom(model);
        await check({ executor, loaded, draws: new Draws(random.seed ^ 0xe29), isStepwise });
      } finally {
        await executor.close();
      }
      return 0;
    },
  };
}

/** A model that came from no checkpoint. */
function loadedFrom(model: Model): LoadedModel {
  return {
    name: 'random model',
    family: 'mamba',
    scheme: 'huggingFaceMamba',
    eosTokens: [],
    warnings: [],
    config: model.config,
    model,
  };
}

/** Tokens of a random sequence. */
export const someTokens = (draws: Draws, vocabRows: number, length: number): number[] =>
  Array.from({ length }, () => draws.below(vocabRows));
