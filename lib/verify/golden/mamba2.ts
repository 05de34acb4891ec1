/** Upstream's Mamba-2 recurrences in terms of ours, and back. */

import { log } from '../../../reference/elementary.ts';
import { mamba2Inner } from '../../../reference/mamba2Mixer.ts';
import type { Ops } from '../../../reference/ops.ts';
import type { SsdInput } from '../../../reference/ssd.ts';
import type { Adapter, GoldenCase, Outputs } from './case.ts';
import {
  asSequence,
  filled,
  permute,
  repeatGroups,
  skip,
  skipCase,
  slice,
  stack,
  withShape,
} from './layout.ts';
import type { Translation, WrittenCase } from './translation.ts';

function ssdLimit(c: GoldenCase): readonly [number, number] | undefined {
  const limit = c.numbers('dt_limit');
  return limit && ([limit[0], limit[1]] as const);
}

/** Our input of a case of ssd_scan: x, z (B, L, H, P), dt (B, L, H). */
export function ssdInput(c: GoldenCase): SsdInput {
  return {
    x: c.tensor('x'),
    dtRaw: c.tensor('dt'),
    dtBias: c.optional('dt_bias'),
    dtSoftplus: c.boolean('dt_softplus'),
    dtLimit: ssdLimit(c),
    A: c.tensor('A'),
    B: c.tensor('B'),
    C: c.tensor('C'),
    D: skip(c.optional('D')),
    z: c.optional('z'),
    h: c.optional('initial_states'),
  };
}

/** ssd_scan. */
export const ssdScan: Adapter = async (c, run) => {
  const { y, h } = await run('ssd', ssdInput(c));
  return { out: y, final_state: h };
};

/** One case for a sequence of Mamba-2, or for its single token. */
function writeSsd(input: Parameters<Ops['ssd']>[0]): WrittenCase | undefined {
  const { x, dtRaw, dtBias, dtSoftplus = true, dtLimit, A, B, C, D, z, h } = input;
  const nHeads = A.shape[0];
  const bias = (i: number) => dtBias?.data[i % nHeads] ?? 0;
  // where we do not clamp, upstream still keeps Δ from being negative, which only softplus makes sure of
  if (!dtSoftplus && !dtLimit && dtRaw.data.some((dt, i) => dt + bias(i) < 0)) return undefined;
  const [min, max] = dtLimit ?? [0, Number.POSITIVE_INFINITY];
  return {
    op: 'ssd_scan',
    tensors: {
      x,
      dt: dtRaw,
      A,
      B,
      C,
      D: skipCase(D),
      z,
      dt_bias: dtBias,
      initial_states: h,
    },
    attributes: {
      dt_softplus: dtSoftplus,
      dt_limit: [min, Number.isFinite(max) ? max : String(max)],
      suggested_chunk: 4,
      ngroups: B.shape[2],
    },
  };
}

/** ssd as ssd_scan. */
export const ssdCase: Translation<'ssd'> = {
  names: ['ssd_scan'],
  write: writeSsd,
  read: async (answer, { x, B }) => {
    const [batch, , nHeads, headDim] = x.shape;
    return {
      y: await answer.tensor('out', ...x.shape),
      h: await answer.optional('final_state', batch, nHeads, headDim, B.shape[3]),
    };
  },
};

/** ssdStep as ssd_scan of one token: selective_state_update, which upstream decodes with, knows no dt_limit. */
export const ssdStepCase: Translation<'ssdStep'> = {
  names: [],
  write: (input) => writeSsd(asSequence(input)),
  read: async (answer, { x, h }) => ({
    y: withShape(await answer.tensor('out', x.shape[0], 1, ...x.shape.slice(1)), ...x.shape),
    h: await answer.optional('final_state', ...h.shape),
  }),
};

/** ssd_minimal: X already multiplied by Δ, A the log decay of every token. */
export const ssdMinimal: Adapter = async (c, run) => {
  const X = c.tensor('X');
  const [batch, , nHeads, headDim] = X.shape;
  const initial = c.optional('initial_states');
  const { y, h } = await run('semiseparableChunked', {
    x: X,
    logDecay: c.tensor('A'),
    B: c.tensor('B'),
    C: c.tensor('C'),
    h: initial && withShape(initial, batch, nHeads, headDim, c.tensor('B').shape[3]),
    chunkLen: c.number('block_len', 64),
  });
  return { out: y, final_state: h };
};

/** semiseparableChunked as ssd_minimal, where every head has its own B and C. */
export const semiseparableChunkedCase: Translation<'semiseparableChunked'> = {
  names: ['ssd_minimal'],
  isUpstreams: ({ x, chunkLen }) => x.shape[1] % chunkLen === 0,
  write: ({ x, logDecay, B, C, h, chunkLen }) => {
    const nHeads = x.shape[2];
    return {
      op: 'ssd_minimal',
      tensors: {
        X: x,
        A: logDecay,
        B: repeatGroups(B, nHeads),
        C: repeatGroups(C, nHeads),
        initial_states: h && withShape(h, h.shape[0], 1, ...h.shape.slice(1)),
      },
      attributes: { block_len: chunkLen },
    };
  },
  read: async (answer, { x, B }) => {
    const [batch, , nHeads, headDim] = x.shape;
    return {
      y: await answer.tensor('out', ...x.shape),
      h: await answer.optional('final_state', batch, nHeads, headDim, B.shape[3]),
    };
  },
};

/** segsum: exp of the sums of every stretch of x; a matrix with C·B = 1. */
export const segsum: Adapter = async (c, run) => {
  const x = c.tensor('x');
  const seqlen = x.shape[x.shape.length - 1];
  const nHeads = x.data.length / seqlen;
  const logDecay = permute(withShape(x, 1, nHeads, seqlen), 'bhl', 'blh');
  const ones = filled(x, 1, 1, seqlen, 1, 1);
  const { M } = await run('semiseparableMatrix', {
    x: filled(x, 0, 1, seqlen, nHeads, 1),
    logDecay,
    B: ones,
    C: ones,
  });
  return { exp_segsum: withShape(M, ...x.shape, seqlen) };
};

/** ssd_chunk_pieces: what the chunks of the dual form compute on the way. dt (B, H, nChunks, Q), after softplus. */
export const ssdChunkPieces: Adapter = async (c, run) => {
  const x = c.tensor('x');
  const [batch, seqlen, nHeads, headDim] = x.shape;
  const dtChunks = c.tensor('dt');
  const [, , nChunks, chunkLen] = dtChunks.shape;
  const dt = withShape(permute(dtChunks, 'bhcq', 'bcqh'), batch, seqlen, nHeads);
  const A = c.tensor('A');
  const logDecay = { data: dt.data.map((v, i) => v * A.data[i % nHeads]), shape: dt.shape };
  const scaled = {
    data: x.data.map((v, i) => v * dt.data[Math.floor(i / headDim)]),
    shape: x.shape,
  };
  const pieces = await run('semiseparableChunked', {
    x: scaled,
    logDecay,
    B: c.tensor('B'),
    C: c.tensor('C'),
    h: c.optional('initial_states'),
    chunkLen,
  });
  const whole = await run('ssdChunked', {
    x,
    dtRaw: dt,
    dtSoftplus: false,
    A,
    B: c.tensor('B'),
    C: c.tensor('C'),
    D: skip(c.optional('D')),
    z: c.optional('z'),
    h: c.optional('initial_states'),
    chunkLen,
  });
  const sums = permute(withShape(logDecay, batch, nChunks, chunkLen, nHeads), 'bcqh', 'bhcq');
  for (let i = 0; i < sums.data.length; i++) if (i % chunkLen > 0) sums.data[i] += sums.data[i - 1];
  return {
    dA_cumsum: sums,
    chunk_states: pieces.written,
    prev_states: pieces.entering,
    final_state: pieces.h,
    out: whole.y,
  };
};

/** simple_gla: the same recurrence with queries scaled and the state transposed. */
export const simpleGla: Adapter = async (c, run) => {
  const q = c.tensor('q');
  const keyDim = q.shape[3];
  const scale = c.text('scale') === 'K**-0.5' ? keyDim ** -0.5 : c.number('scale', 1);
  const initial = c.optional('initial_state');
  const { y, h } = await run('semiseparableChunked', {
    x: c.tensor('v'),
    logDecay: c.tensor('g'),
    B: c.tensor('k'),
    C: { data: q.data.map((v) => v * scale), shape: q.shape },
    h: initial && permute(initial, 'bhkv', 'bhvk'),
    chunkLen: 16,
  });
  return { out: y, final_state: permute(h, 'bhvk', 'bhkv') };
};

/** mamba2_block: Mamba-2's mixer from its projected input (B, L, …) on. */
export const mamba2Block: Adapter = async (c): Promise<Outputs> => {
  const zxbcdt = c.tensor('zxbcdt');
  const [batch, seqlen, width] = zxbcdt.shape;
  const nHeads = c.tensor('A').data.length;
  const headDim = c.number('headdim');
  const nGroups = c.number('ngroups', 1);
  const dSsm = nHeads * headDim;
  const conv = c.tensor('conv1d_weight');
  const [channels, dConv] = [conv.shape[0], conv.shape[conv.shape.length - 1]];
  const dState = (channels - dSsm) / (2 * nGroups);
  const dInner = dSsm + (width - 2 * dSsm - 2 * nGroups * dState - nHeads) / 2;
  const normWeight = c.optional('rmsnorm_weight');
  const identity = filled(zxbcdt, 0, dInner, dInner);
  for (let i = 0; i < dInner; i++) identity.data[i * dInner + i] = 1;
  const outProj = c.optional('outproj_weight') ?? identity;
  const D = c.tensor('D');
  const rows = Array.from({ length: batch }, (_, b) =>
    mamba2Inner({
      u: slice(zxbcdt, b),
      weights: {
        inProj: filled(D, 0, 0, 0), // applied already
        convWeight: withShape(conv, channels, dConv),
        convBias: c.optional('conv1d_bias'),
        dtBias: c.tensor('dt_bias'),
        ALog: { data: c.tensor('A').data.map((a) => log(-a)), shape: [nHeads] },
        D,
        normWeight,
        outProj,
        outProjBias: c.optional('outproj_bias'),
      },
      config: {
        kind: 'mamba2',
        dInner,
        nHeads,
        headDim,
        nGroups,
        dState,
        dConv,
        ...(normWeight && {
          gatedNorm: {
            eps: c.number('rmsnorm_eps', 1e-5),
            groupSize: dSsm, // upstream's reference of this op does not group the norm
            normBeforeGate: c.boolean('norm_before_gate'),
          },
        }),
        dtLimit: ssdLimit(c),
        hasDPerChannel: D.data.length > nHeads,
        hasBias: false,
        hasConvBias: true,
      },
      state: {},
    }),
  );
  return { out: withShape(stack(rows), batch, seqlen, outProj.shape[0]) };
};
