/** Ops for one token of every sequence on host arrays, on the kernels that the executor's steps run. */

import type { Tensor } from '../../reference/tensor.ts';
import { perChannel } from '../perChannel.ts';
import * as conv from './causalConv1d.ts';
import * as heads from './heads.ts';
import type { Handle } from './kernel.ts';
import type { ScopedOp } from './rowOps.ts';
import type { Scope } from './scope.ts';
import * as scan from './selectiveScan.ts';
import { putState, takeState } from './sequenceOps.ts';
import { skipAndGate, stepSize } from './stepSize.ts';

/** Every slot takes a token. */
const allLive = (scope: Scope, slots: number) => scope.put(new Float32Array(slots).fill(1), slots);

export const causalConv1dStepOp: ScopedOp<'causalConv1dStep'> = async (scope, input) => {
  const { x, weight, bias, activation, convState } = input;
  const [slots, channels] = x.shape;
  const dConv = weight.shape[1];
  const b = await scope.vectors(bias);
  const hasSilu = activation === 'silu';
  const sizes = { tokens: slots, slots, channels, dConv, xFrom: 0, hasBias: b.length > 0, hasSilu };
  const rows = await scope.rows(x, channels);
  const w = await scope.transposed(weight);
  const state = dConv > 1 ? [await putState(scope, convState, slots, channels, dConv - 1)] : [];
  const y = await scope.run(conv.causalConv1dStep(sizes), rows, w, ...state, ...b);
  const output = { y: await scope.take(y, x.shape), convState };
  if (dConv === 1) return output;
  const live = await allLive(scope, slots);
  const after = await scope.run(conv.causalConv1dStepState(sizes), rows, ...state, live);
  return { ...output, convState: await takeState(scope, after, convState.shape) };
};

/** Δ of every token. */
async function steps(
  scope: Scope,
  { dtRaw, dtBias, dtSoftplus = true, dtLimit }: StepSizeInput,
): Promise<Handle> {
  const [tokens, width] = dtRaw.shape;
  const flags = { hasBias: dtBias !== undefined, hasSoftplus: dtSoftplus, limit: dtLimit };
  const spec = stepSize({ tokens, width, from: 0, ...flags });
  return scope.run(spec, await scope.rows(dtRaw, width), ...(await scope.vectors(dtBias)));
}

interface StepSizeInput {
  readonly dtRaw: Tensor;
  readonly dtBias?: Tensor;
  readonly dtSoftplus?: boolean;
  readonly dtLimit?: readonly [min: number, max: number];
}

/** (y + D·x)·silu(z). */
async function finish(
  scope: Scope,
  y: Handle,
  x: Handle,
  { D, z }: { D?: Tensor; z?: Tensor },
): Promise<Handle> {
  const [width, tokens] = y.dims;
  const sizes = { tokens, width, xFrom: 0, zFrom: 0, hasD: D !== undefined, hasZ: z !== undefined };
  const skip = D ? [x, await scope.put(perChannel(D.data, width), width)] : [];
  const gate = z ? [await scope.rows(z, width)] : [];
  return scope.run(skipAndGate(sizes), y, ...skip, ...gate);
}

const NO_OFFSETS = { xFrom: 0, BFrom: 0, CFrom: 0 };

export const selectiveScanStepOp: ScopedOp<'selectiveScanStep'> = async (scope, input) => {
  const { x, B, C, D, z, h } = input;
  const [slots, dInner] = x.shape;
  const [, nGroups, dState] = B.shape;
  const sizes = { tokens: slots, slots, dInner, dState, nGroups, ...NO_OFFSETS };
  const rows = await scope.rows(x, dInner);
  const after = await scope.run(
    scan.selectiveScanStepState(sizes),
    await steps(scope, input),
    rows,
    await scope.transposed(input.A),
    await scope.rows(B, nGroups * dState),
    await putState(scope, h, slots, dInner, dState),
    await allLive(scope, slots),
  );
  const read = await scope.rows(C, nGroups * dState);
  const y = await scope.run(scan.selectiveScanStep(sizes), after, read);
  return {
    y: await scope.take(await finish(scope, y, rows, { D, z }), x.shape),
    h: await takeState(scope, after, h.shape),
  };
};

type HeadInput = Pick<Parameters<ScopedOp<'ssdStep'>>[1], 'x' | 'B' | 'C' | 'D' | 'z' | 'h'>;

/** One token of the recurrence over heads. */
async function stepHeads(
  scope: Scope,
  { x, B, C, D, z, h }: HeadInput,
  ratesOf: (sizes: heads.HeadSizes) => Promise<Handle[]>,
): Promise<{ y: Tensor; h: Tensor }> {
  const [slots, nHeads, headDim] = x.shape;
  const [, nGroups, dState] = B.shape;
  const sizes = { tokens: slots, slots, nHeads, headDim, dState, nGroups, ...NO_OFFSETS };
  const width = nHeads * headDim;
  const rows = await scope.rows(x, width);
  const after = await scope.run(
    heads.headsStepState(sizes),
    ...(await ratesOf(sizes)),
    rows,
    await scope.rows(B, nGroups * dState),
    await putState(scope, h, slots, width, dState),
    await allLive(scope, slots),
  );
  const y = await scope.run(
    heads.headsStepRead(sizes),
    after,
    await scope.rows(C, nGroups * dState),
  );
  return {
    y: await scope.take(await finish(scope, y, rows, { D, z }), x.shape),
    h: await takeState(scope, after, h.shape),
  };
}

export const ssdStepOp: ScopedOp<'ssdStep'> = (scope, input) =>
  stepHeads(scope, input, async (sizes) => {
    const dt = await steps(scope, input);
    const decay = await scope.run(heads.ssdDecay(sizes), dt, ...(await scope.vectors(input.A)));
    return [decay, dt];
  });

export const discreteSsdStepOp: ScopedOp<'discreteSsdStep'> = (scope, input) =>
  stepHeads(scope, input, async (sizes) => [
    await scope.run(heads.discreteDecay(sizes, 0), await scope.rows(input.a, sizes.nHeads)),
    await scope.run(heads.discreteScale(sizes)),
  ]);
