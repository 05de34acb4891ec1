import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { referenceExecutor } from '../lib/decode/referenceExecutor.ts';
import {
  buildPlan,
  costByOp,
  costOf,
  describePlan,
  plainExecutor,
  totalCost,
} from '../lib/plan/index.ts';
import { MODEL_LAWS, type ModelSubject } from '../lib/verify/laws/models.ts';
import { drawnModel, MIXER_KINDS, modelOf } from '../lib/verify/randomModel.ts';
import { stateSize } from '../reference/config.ts';
import { weightShapes } from '../reference/model.ts';
import { sizeOf } from '../reference/tensor.ts';
import { expectLaw, SEED } from './support.ts';

const options = { seed: SEED, numRuns: 100 };

/** Both must give the bits of reference/model.ts, which was written without the plan. */
const EXECUTORS: Record<string, Omit<ModelSubject, 'precision'>> = {
  'the plan': { open: plainExecutor, isBitwise: true, arithmetic: 'ieee' },
  'the reference': { open: referenceExecutor, isBitwise: true, arithmetic: 'ieee' },
};

describe.each(Object.keys(EXECUTORS))('%s decodes as the reference model does', (name) => {
  describe.each(['float64', 'float32'] as const)('in %s', (precision) => {
    for (const law of MODEL_LAWS) {
      it(law.law, () => expectLaw(law, { ...EXECUTORS[name], precision }, 60));
    }
  });
});

it.each(MIXER_KINDS)(
  'the plan of a model of %s alone gives the bits of the model',
  async (kind) => {
    await fc.assert(
      fc.asyncProperty(drawnModel([kind]), async ({ input }) => {
        const model = modelOf(input);
        const prompts = [[0, 1, 0], [1]];
        const got = await plainExecutor(model).prefill(prompts);
        const want = await referenceExecutor(model).prefill(prompts);
        expect(got.map(({ logits }) => logits)).toEqual(want.map(({ logits }) => logits));
      }),
      { ...options, numRuns: 60 },
    );
  },
);

describe('every plan', () => {
  const plans = drawnModel().map(({ input: { config } }) => ({
    config,
    prefill: buildPlan(config, 'prefill'),
    step: buildPlan(config, 'step'),
  }));

  it('writes every buffer once, before it is read, and reads inside it', () => {
    fc.assert(
      fc.property(plans, ({ prefill, step }) => {
        for (const plan of [prefill, step]) {
          const written = new Map<string, number>();
          for (const { inputs, y } of plan.steps) {
            for (const { buffer, from, width } of Object.values(inputs)) {
              expect(written.get(buffer)).toBeGreaterThanOrEqual(from + width);
            }
            expect(written.has(y.buffer)).toBe(false);
            written.set(y.buffer, y.width);
          }
        }
      }),
      options,
    );
  });

  it('uses every weight of the model, and no other', () => {
    fc.assert(
      fc.property(plans, ({ config, prefill, step }) => {
        for (const { steps } of [prefill, step]) {
          const used = new Set(steps.flatMap(({ weights }) => Object.values(weights)));
          expect([...used].sort()).toEqual([...weightShapes(config).keys()].sort());
        }
      }),
      options,
    );
  });

  it('has the state of the model', () => {
    fc.assert(
      fc.property(plans, ({ config, prefill, step }) => {
        expect(step.state).toEqual(prefill.state);
        const size = (grows: boolean) =>
          step.state
            .filter((slot) => slot.grows === grows)
            .reduce((sum, { shape }) => sum + sizeOf(shape), 0);
        expect({ fixed: size(false), perToken: size(true) }).toEqual(stateSize(config));
      }),
      options,
    );
  });

  it('counts as much for a prompt as for its tokens one by one, but for the logits', () => {
    fc.assert(
      fc.property(plans, ({ prefill, step }) => {
        const seqlen = 7;
        const all = costByOp(costOf(prefill, { rows: 2, tokens: seqlen, position: 0 }));
        const singles = Array.from({ length: seqlen }, (_, position) =>
          costByOp(costOf(step, { rows: 2, tokens: 1, position })),
        );
        for (const [op, { macs }] of all) {
          if (['linear', 'rmsNorm', 'layerNorm', 'lastTokens'].includes(op)) continue; // some follow lastTokens
          const name = (op.match(/Conv1d|Scan|[sS]sd|attention/) ? `${op}Step` : op) as typeof op;
          const sum = singles.reduce((total, costs) => total + (costs.get(name)?.macs ?? 0), 0);
          expect(macs).toBeCloseTo(sum, 6);
        }
      }),
      options,
    );
  });

  it('reads every weight once a step, and prints a line for every step', () => {
    fc.assert(
      fc.property(plans, ({ config, step }) => {
        const load = { rows: 3, tokens: 1, position: 5 };
        const shapes = weightShapes(config);
        const named = step.steps
          .filter(({ op }) => op !== 'embedding')
          .flatMap(({ weights }) => Object.values(weights) as string[]);
        const numbers = named.reduce((sum, name) => sum + sizeOf(shapes.get(name) ?? []), 0);
        const { weightBytes, macs } = totalCost(costOf(step, load));
        expect(weightBytes).toBe(4 * (numbers + 3 * config.dModel));
        const lines = describePlan(step, load);
        expect(lines.length).toBe(step.steps.length);
        expect(lines.reduce((sum, line) => sum + line.macs, 0)).toBe(macs);
      }),
      options,
    );
  });
});
