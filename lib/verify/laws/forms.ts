/** What ties the recurrences to each other: one family, seen from several sides. */

import { reshape, type Tensor, zeros } from '../../../reference/tensor.ts';
import type { Approx } from '../approx.ts';
import { INPUTS } from '../arbitraries.ts';
import { expectClose, expectSameOutputs, expectWithin } from '../compare.ts';
import * as definitions from '../definitions/recurrences.ts';
import { takeTokens } from '../tokens.ts';
import { type Law, law } from './law.ts';

/** Element (b, t, head, …) of every head repeated for its channels. */
function perChannel(t: Tensor, nHeads: number, headDim: number): Tensor {
  const rows = t.data.length / nHeads;
  const data = zeros(rows * nHeads * headDim, t.data);
  for (let i = 0; i < data.length; i++) data[i] = t.data[Math.trunc(i / headDim)];
  return { data, shape: [...t.shape.slice(0, -1), nHeads * headDim] };
}

const sums = (...all: readonly Approx[][]) =>
  all[0].map((_, i) => all.reduce((sum, approx) => sum + approx[i].error, 0));

export const formLaws: Law[] = [
  law(
    'ssd',
    'is a selective scan whose states share one decay',
    INPUTS.ssd,
    async (subject, input) => {
      const { run, calc } = subject;
      const { dtLimit: _limit, ...ssdInput } = input;
      const [batch, seqlen, nHeads, headDim] = input.x.shape;
      const dState = input.B.shape[3];
      const dInner = nHeads * headDim;
      const A = zeros(dInner * dState, input.A.data);
      for (let i = 0; i < A.length; i++) A[i] = input.A.data[Math.trunc(i / (headDim * dState))];
      const { D, z, h, dtBias } = input;
      const scanInput = {
        x: reshape(input.x, batch, seqlen, dInner),
        dtRaw: perChannel(input.dtRaw, nHeads, headDim),
        ...(dtBias && { dtBias: perChannel(dtBias, nHeads, headDim) }),
        A: { data: A, shape: [dInner, dState] },
        B: input.B,
        C: input.C,
        ...(D && {
          D:
            D.shape[1] === 1 ? perChannel(reshape(D, nHeads), nHeads, headDim) : reshape(D, dInner),
        }),
        ...(z && { z: reshape(z, batch, seqlen, dInner) }),
        ...(h && { h: reshape(h, batch, dInner, dState) }),
      };
      const [one, other] = [await run('ssd', ssdInput), await run('selectiveScan', scanInput)];
      const [a, b] = [definitions.ssd(ssdInput, calc), definitions.selectiveScan(scanInput, calc)];
      return Math.max(
        expectClose('y', one.y, reshape(other.y, ...input.x.shape), { perElement: sums(a.y, b.y) }),
        expectClose('h', one.h, reshape(other.h, ...one.h.shape), { perElement: sums(a.h, b.h) }),
      );
    },
  ),
  law(
    'semiseparableChunked',
    'hands every chunk the state after the tokens before it',
    INPUTS.semiseparableChunked,
    async ({ run, calc }, input) => {
      const { entering } = await run('semiseparableChunked', input);
      const [batch, nChunks, ...state] = entering.shape;
      const size = state.reduce((product, n) => product * n, 1);
      let worst = 0;
      for (let chunk = 0; chunk < nChunks; chunk++) {
        const before = takeTokens(input, 0, chunk * input.chunkLen);
        const want = definitions.semiseparable(before, calc).h;
        for (let b = 0; b < batch; b++) {
          const at = (b * nChunks + chunk) * size;
          const got = { data: entering.data.subarray(at, at + size), shape: state };
          worst = Math.max(
            worst,
            expectWithin('entering', got, want.slice(b * size, (b + 1) * size)),
          );
        }
      }
      return worst;
    },
  ),
  law(
    'associativeScan',
    'gives the same bits in every order where nothing rounds',
    INPUTS.associativeScan.filter(
      ({ dims, input }) => dims.family === 'dyadic' && input.a.shape[1] <= 12,
    ),
    async ({ run, isBitwise }, input) => {
      const sequential = await run('associativeScan', { ...input, method: 'sequential' });
      for (const method of ['hillisSteele', 'blelloch', 'chunked'] as const) {
        const other = await run('associativeScan', { ...input, method });
        if (isBitwise) expectSameOutputs(other, sequential);
        // the same numbers; kernels may have 0 for −0
        else
          for (const name of ['a', 'b'] as const)
            expectClose(name, other[name], sequential[name], {});
      }
      return 0;
    },
  ),
];
