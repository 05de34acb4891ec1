/** Upstream's Discrete Mamba-2 in terms of ours, and back. */

import type { DiscreteSsdInput } from '../../../reference/discreteSsd.ts';
import type { Ops } from '../../../reference/ops.ts';
import type { Adapter, GoldenCase } from './case.ts';
import { asSequence, filled, repeatGroups, skip, skipCase, withShape } from './layout.ts';
import type { Translation, WrittenCase } from './translation.ts';

/** discrete_ssd: decay σ(−A_log), input not multiplied by any Δ. */
export const discreteSsd: Adapter = async (c, run) => {
  const { y, h } = await run('discreteSsd', {
    x: c.tensor('X'),
    a: c.tensor('A_log'),
    B: c.tensor('B'),
    C: c.tensor('C'),
    h: c.optional('initial_states'),
  });
  return { out: y, final_state: h };
};

/** Our input of a case of materialize_mixer: a matrix does not depend on x. */
export function matrixInput(c: GoldenCase): DiscreteSsdInput {
  const a = c.tensor('A_log');
  return {
    x: filled(a, 0, ...a.shape, 1),
    a,
    B: c.tensor('B'),
    C: c.tensor('C'),
    D: skip(c.optional('D')),
  };
}

/** materialize_mixer: Discrete Mamba-2 as a matrix. */
export const materializeMixer: Adapter = async (c, run) => {
  const { M } = await run('discreteSsdMatrix', matrixInput(c));
  return { T: M };
};

/** One case for a sequence or a single token: upstream's scan adds D outside, and every head has its B and C. */
function writeDiscreteSsd(input: Parameters<Ops['discreteSsd']>[0]): WrittenCase | undefined {
  const { x, a, B, C, D, h } = input;
  const [, seqlen, nHeads] = x.shape;
  if (D) return undefined;
  return {
    op: 'discrete_ssd',
    tensors: {
      X: x,
      A_log: a,
      B: repeatGroups(B, nHeads),
      C: repeatGroups(C, nHeads),
      initial_states: h,
    },
    attributes: { block_len: seqlen },
  };
}

/** discreteSsd as discrete_ssd. */
export const discreteSsdCase: Translation<'discreteSsd'> = {
  names: ['discrete_ssd'],
  write: writeDiscreteSsd,
  read: async (answer, { x, B }) => {
    const [batch, , nHeads, headDim] = x.shape;
    return {
      y: await answer.tensor('out', ...x.shape),
      h: await answer.optional('final_state', batch, nHeads, headDim, B.shape[3]),
    };
  },
};

/** discreteSsdStep as discrete_ssd of one token. */
export const discreteSsdStepCase: Translation<'discreteSsdStep'> = {
  names: [],
  write: (input) => writeDiscreteSsd(asSequence(input)),
  read: async (answer, { x, h }) => ({
    y: withShape(await answer.tensor('out', x.shape[0], 1, ...x.shape.slice(1)), ...x.shape),
    h: await answer.optional('final_state', ...h.shape),
  }),
};

/** discreteSsdMatrix as materialize_mixer. */
export const discreteSsdMatrixCase: Translation<'discreteSsdMatrix'> = {
  names: ['materialize_mixer'],
  write: ({ x, a, B, C, D }) => {
    const nHeads = x.shape[2];
    return {
      op: 'materialize_mixer',
      tensors: {
        A_log: a,
        B: repeatGroups(B, nHeads),
        C: repeatGroups(C, nHeads),
        D: skipCase(D),
      },
      attributes: {},
    };
  },
  read: async (answer, { x }) => {
    const [batch, seqlen, nHeads] = x.shape;
    return { M: await answer.tensor('T', batch, nHeads, seqlen, seqlen) };
  },
};
