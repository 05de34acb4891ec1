/** Upstream's Mamba-1 recurrences in terms of ours. */

import { log } from '../../../reference/elementary.ts';
import { mambaInner } from '../../../reference/mambaMixer.ts';
import { type Tensor, zeros } from '../../../reference/tensor.ts';
import type { Adapter } from './case.ts';
import { filled, permute, repeatGroups, slice, stack, withShape } from './layout.ts';

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

/** selective_scan, selective_scan_init: u, delta, z (B, D, L). */
export const selectiveScan: Adapter = async (c, run) => {
  const [batch, dInner, seqlen] = c.tensor('u').shape;
  const B = scanMatrix(c.tensor('B'), batch, seqlen, dInner);
  const C = scanMatrix(c.tensor('C'), batch, seqlen, dInner);
  const nGroups = leastMultiple(B.shape[2], C.shape[2]);
  const z = c.optional('z');
  const { y, h } = await run('selectiveScan', {
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
  });
  return { out: permute(y, 'bld', 'bdl'), last_state: h };
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
