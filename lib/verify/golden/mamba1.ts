/** Upstream's Mamba-1 recurrences in terms of ours, and back. */

import { log } from '../../../reference/elementary.ts';
import { mambaInner } from '../../../reference/mambaMixer.ts';
import type { SelectiveScanInput } from '../../../reference/selectiveScan.ts';
import { type Tensor, zeros } from '../../../reference/tensor.ts';
import type { Adapter, GoldenCase } from './case.ts';
import { filled, permute, repeatGroups, slice, stack, withShape } from './layout.ts';
import type { Translation } from './translation.ts';

/** B or C of a selective scan as (batch, seqlen, nGroups, dState), from any of upstream's three forms. */
function scanMatrix(t: Tensor, batch: number, seqlen: number, dInner: number): Tensor {
  if (t.shape.length === 4) return permute(t, 'bgnl', 'blgn');
  if (t.shape.length === 3) {
    const [, dState] = t.shape;
    return withShape(permute(t, 'bnl', 'bln'), batch, seqlen, 1, dState);
  }
  // constant over tokens, one row per channel: every channel is its own group
  const data = zeros(batch * seqlen * t.data.length, t.data);
  for (let at = 0; at < data.length; at += t.data.length) data.set(t.data, at);
  return { data, shape: [batch, seqlen, dInner, t.shape[1]] };
}

const leastMultiple = (a: number, b: number) => {
  let n = Math.max(a, b);
  while (n % a !== 0 || n % b !== 0) n++;
  return n;
};

/** Our input of a case of selective_scan: u, delta, z (B, D, L). */
export function selectiveScanInput(c: GoldenCase): SelectiveScanInput {
  const [batch, dInner, seqlen] = c.tensor('u').shape;
  const B = scanMatrix(c.tensor('B'), batch, seqlen, dInner);
  const C = scanMatrix(c.tensor('C'), batch, seqlen, dInner);
  const nGroups = leastMultiple(B.shape[2], C.shape[2]);
  const z = c.optional('z');
  return {
    x: permute(c.tensor('u'), 'bdl', 'bld'),
    dtRaw: permute(c.tensor('delta'), 'bdl', 'bld'),
    dtBias: c.optional('delta_bias'),
    dtSoftplus: c.boolean('delta_softplus'),
    A: c.tensor('A'),
    B: repeatGroups(B, nGroups),
    C: repeatGroups(C, nGroups),
    D: c.optional('D'),
    z: z && permute(z, 'bdl', 'bld'),
    h: c.optional('initial_state'),
  };
}

/** selective_scan, selective_scan_init. */
export const selectiveScan: Adapter = async (c, run) => {
  const { y, h } = await run('selectiveScan', selectiveScanInput(c));
  return { out: permute(y, 'bld', 'bdl'), last_state: h };
};

/** B or C (batch, seqlen, nGroups, dState) in upstream's form for one group or for several. */
function scanMatrixCase(t: Tensor): Tensor {
  const [batch, seqlen, nGroups, dState] = t.shape;
  return nGroups === 1
    ? permute(withShape(t, batch, seqlen, dState), 'bln', 'bnl')
    : permute(t, 'blgn', 'bgnl');
}

/** selectiveScan as selective_scan, or selective_scan_init where it starts from a state. */
export const selectiveScanCase: Translation<'selectiveScan'> = {
  names: ['selective_scan', 'selective_scan_init'],
  write: ({ x, dtRaw, dtBias, dtSoftplus = true, A, B, C, D, z, h }) => ({
    op: h ? 'selective_scan_init' : 'selective_scan',
    tensors: {
      u: permute(x, 'bld', 'bdl'),
      delta: permute(dtRaw, 'bld', 'bdl'),
      A,
      B: scanMatrixCase(B),
      C: scanMatrixCase(C),
      D,
      z: z && permute(z, 'bld', 'bdl'),
      delta_bias: dtBias,
      initial_state: h,
    },
    attributes: { delta_softplus: dtSoftplus },
  }),
  read: async (answer, { x, A }) => {
    const [batch, seqlen, dInner] = x.shape;
    return {
      y: permute(await answer.tensor('out', batch, dInner, seqlen), 'bdl', 'bld'),
      h: await answer.optional('last_state', batch, ...A.shape),
    };
  },
};

/** selective_state_update: steps along the first axis; heads of channels are flattened to channels. */
export const selectiveStateUpdate: Adapter = async (c, run) => {
  const x = c.tensor('x');
  const [steps, batch] = x.shape;
  const state = c.tensor('state');
  const dState = state.shape[state.shape.length - 1];
  const dInner = state.data.length / (batch * dState);
  const flat = (name: string) => {
    const t = c.optional(name);
    return t && withShape(t, dInner);
  };
  const B = c.tensor('B');
  const nGroups = B.data.length / (steps * batch * dState);
  const atStep = (name: string, t: number, ...shape: number[]) => {
    const whole = c.optional(name);
    return whole && withShape(slice(whole, t), ...shape);
  };
  let h = withShape(state, batch, dInner, dState);
  const outs: Tensor[] = [];
  const states: Tensor[] = [];
  for (let t = 0; t < steps; t++) {
    const result = await run('selectiveScanStep', {
      x: atStep('x', t, batch, dInner) as Tensor,
      dtRaw: atStep('dt', t, batch, dInner) as Tensor,
      dtBias: flat('dt_bias'),
      dtSoftplus: c.boolean('dt_softplus'),
      A: withShape(c.tensor('A'), dInner, dState),
      B: atStep('B', t, batch, nGroups, dState) as Tensor,
      C: atStep('C', t, batch, nGroups, dState) as Tensor,
      D: flat('D'),
      z: atStep('z', t, batch, dInner),
      h,
    });
    h = result.h;
    outs.push(withShape(result.y, ...x.shape.slice(1)));
    states.push(withShape(result.h, ...state.shape));
  }
  return { out: stack(outs), states: stack(states) };
};

/**
 * selectiveScanStep as one step of selective_state_update. Channels that share groups are heads of one channel
 * each: upstream's form without heads has one group.
 */
export const selectiveScanStepCase: Translation<'selectiveScanStep'> = {
  names: ['selective_state_update'],
  write: ({ x, dtRaw, dtBias, dtSoftplus = true, A, B, C, D, z, h }) => {
    const [batch, nGroups, dState] = B.shape;
    const hasHeads = nGroups > 1;
    const perChannel = <T extends Tensor | undefined>(t: T) =>
      t && hasHeads ? withShape(t, t.shape[0], 1, ...t.shape.slice(1)) : t;
    const perToken = <T extends Tensor | undefined>(t: T) =>
      t && withShape(t, 1, ...t.shape, ...(hasHeads ? [1] : []));
    const perGroup = (t: Tensor) =>
      withShape(t, 1, batch, ...(hasHeads ? [nGroups, dState] : [dState]));
    return {
      op: 'selective_state_update',
      tensors: {
        state: withShape(h, batch, ...stateShape(h, hasHeads)),
        x: perToken(x),
        dt: perToken(dtRaw),
        A: perChannel(A),
        B: perGroup(B),
        C: perGroup(C),
        D: perChannel(D),
        z: perToken(z),
        dt_bias: perChannel(dtBias),
      },
      attributes: { dt_softplus: dtSoftplus, steps: 1, ngroups: hasHeads ? nGroups : null },
    };
  },
  read: async (answer, { x, B, h }) => {
    const hasHeads = B.shape[1] > 1;
    const states = await answer.optional('states', 1, x.shape[0], ...stateShape(h, hasHeads));
    const out = await answer.tensor('out', 1, ...x.shape, ...(hasHeads ? [1] : []));
    return { y: withShape(out, ...x.shape), h: states && withShape(states, ...h.shape) };
  },
};

/** The axes of a state (batch, dInner, dState) after the batch; with heads, one per channel. */
function stateShape(h: Tensor, hasHeads: boolean): number[] {
  const [, dInner, dState] = h.shape;
  return hasHeads ? [dInner, 1, dState] : [dInner, dState];
}

/** mamba_inner: Mamba's mixer from its projected input (B, 2·dInner, L) on. */
export const mambaInnerCase: Adapter = async (c) => {
  const xz = permute(c.tensor('xz'), 'bdl', 'bld');
  const [batch, seqlen, width] = xz.shape;
  const dInner = width / 2;
  const A = c.tensor('A');
  const dState = A.shape[1];
  const dtRank = c.tensor('delta_proj_weight').shape[1];
  const conv = c.tensor('conv1d_weight');
  const dConv = conv.shape[2];
  // the mixer takes A as stored in checkpoints, by the logarithm of −A
  const ALog = { data: A.data.map((a) => log(-a)), shape: A.shape };
  const rows = Array.from({ length: batch }, (_, b) =>
    mambaInner({
      u: slice(xz, b),
      weights: {
        inProj: filled(A, 0, 0, 0), // applied already
        convWeight: withShape(conv, dInner, dConv),
        convBias: c.optional('conv1d_bias'),
        xProj: c.tensor('x_proj_weight'),
        dtProj: c.tensor('delta_proj_weight'),
        dtBias: c.tensor('delta_bias'),
        ALog,
        D: c.tensor('D'),
        outProj: c.tensor('out_proj_weight'),
        outProjBias: c.optional('out_proj_bias'),
      },
      config: {
        kind: 'mamba',
        dInner,
        dState,
        dConv,
        dtRank,
        hasBias: false,
        hasConvBias: true,
      },
      state: {},
    }),
  );
  return { out: withShape(stack(rows), batch, seqlen, rows[0].shape[1]) };
};
