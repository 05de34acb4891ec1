/** Which kernels the steps run in which the tokens of a sequence meet each other, or its state. */

import type { Columns, PlanStep } from '../plan.ts';
import * as attention from './attention.ts';
import * as conv from './causalConv1d.ts';
import * as heads from './heads.ts';
import type { Handle } from './kernel.ts';
import * as scan from './selectiveScan.ts';
import { skipAndGate, stepSize } from './stepSize.ts';
import type { Call, StepContext } from './steps.ts';

type StepOf<Op extends string> = Extract<PlanStep, { op: Op | `${Op}Step` }>;
type HeadStep = StepOf<'ssd'> | StepOf<'discreteSsd'>;
type SequenceStep =
  | StepOf<'causalConv1d'>
  | StepOf<'selectiveScan'>
  | HeadStep
  | StepOf<'attention'>;

/** Runs one step and moves its state on; returns its output. */
export async function runSequenceStep(step: SequenceStep, context: StepContext): Promise<Handle> {
  const { tokens, isStep, weights, state, read, out, inner } = context;
  const { runs, spans, live } = arrays(context.call);
  const { slots, capacity } = state.sizes;
  const { width } = step.y;
  const finish = async (y: Handle, { x, z, D }: { x: Columns; z?: Columns; D: string }) => {
    const froms = { xFrom: x.from, zFrom: z?.from ?? 0 };
    const spec = skipAndGate({ tokens, width, ...froms, hasD: true, hasZ: z !== undefined });
    return out(spec, y, read(x), await weights.skip(D, width), ...(z ? [read(z)] : []));
  };
  switch (step.op) {
    case 'causalConv1d':
    case 'causalConv1dStep': {
      const { x } = step.inputs;
      const { activation, dConv, convState } = step.attributes;
      const w = await weights.matrix(step.weights.weight);
      const bias = step.weights.bias ? [await weights.vector(step.weights.bias)] : [];
      const hasSilu = activation === 'silu';
      const sizes = {
        tokens,
        slots,
        channels: width,
        dConv,
        xFrom: x.from,
        hasBias: bias.length > 0,
        hasSilu,
      };
      if (dConv === 1) return out(conv.causalConv1dStep(sizes), read(x), w, ...bias);
      const before = state.get(convState);
      if (isStep) {
        const y = await out(conv.causalConv1dStep(sizes), read(x), w, before, ...bias);
        await state.write(convState, conv.causalConv1dStepState(sizes), read(x), before, live);
        return y;
      }
      const y = await out(conv.causalConv1d(sizes), read(x), w, runs, before, ...bias);
      await state.write(convState, conv.causalConv1dState(sizes), read(x), before, spans);
      return y;
    }
    case 'selectiveScan':
    case 'selectiveScanStep': {
      const { x, dtRaw, B, C, z } = step.inputs;
      const { nGroups, dState, h } = step.attributes;
      const dt = await inner(
        stepSize({ tokens, width, from: dtRaw.from, hasBias: true, hasSoftplus: true }),
        read(dtRaw),
        await weights.vector(step.weights.dtBias),
      );
      const A = await weights.rates(step.weights.ALog);
      const froms = { xFrom: x.from, BFrom: B.from, CFrom: C.from };
      const sizes = { tokens, slots, dInner: width, dState, nGroups, ...froms };
      const inputs = [dt, read(x), A, read(B)];
      let y: Handle;
      if (isStep) {
        await state.write(h, scan.selectiveScanStepState(sizes), ...inputs, state.get(h), live);
        y = await inner(scan.selectiveScanStep(sizes), state.get(h), read(C));
      } else {
        y = await inner(scan.selectiveScan(sizes), ...inputs, read(C), state.get(h), runs);
        await state.write(h, scan.selectiveScanState(sizes), ...inputs, state.get(h), spans);
      }
      return finish(y, { x, z, D: step.weights.D });
    }
    case 'ssd':
    case 'ssdStep': {
      const { x, dtRaw, z } = step.inputs;
      const { nHeads, dtLimit } = step.attributes;
      const sizes = headSizes(context, step);
      const dtSizes = {
        tokens,
        width: nHeads,
        from: dtRaw.from,
        hasBias: true,
        hasSoftplus: true,
      };
      const dt = await inner(
        stepSize({ ...dtSizes, limit: dtLimit }),
        read(dtRaw),
        await weights.vector(step.weights.dtBias),
      );
      const decay = await inner(heads.ssdDecay(sizes), dt, await weights.rates(step.weights.ALog));
      const y = await readHeads(step, sizes, [decay, dt], context);
      return finish(y, { x, z, D: step.weights.D });
    }
    case 'discreteSsd':
    case 'discreteSsdStep': {
      const { x, a } = step.inputs;
      const sizes = headSizes(context, step);
      const decay = await inner(heads.discreteDecay(sizes, a.from), read(a));
      const scale = await inner(heads.discreteScale(sizes));
      const y = await readHeads(step, sizes, [decay, scale], context);
      return finish(y, { x, D: step.weights.D });
    }
    case 'attention':
    case 'attentionStep': {
      const { q, k, v } = step.inputs;
      const { keys, values, ...attributes } = step.attributes;
      const sizes = { tokens, slots, capacity, ...attributes, qFrom: q.from };
      const append = (name: string, rows: Columns) =>
        state.write(
          name,
          attention.appendToCache(sizes, rows.from),
          state.get(name),
          read(rows),
          spans,
        );
      await append(keys, k);
      await append(values, v);
      const scores = await inner(attention.attentionScores(sizes), read(q), state.get(keys), runs);
      const largest = await inner(attention.attentionLargest(sizes), scores, runs);
      const exponentials = await inner(
        attention.attentionExponentials(sizes),
        scores,
        largest,
        runs,
      );
      const total = await inner(attention.attentionTotal(sizes), exponentials, runs);
      return out(attention.attentionRead(sizes), exponentials, total, state.get(values), runs);
    }
  }
}

/** What a call holds for the steps that need it; calls.ts knows which do. */
const arrays = ({ runs, spans, live }: Call) => ({
  runs: runs as Handle,
  spans: spans as Handle,
  live: live as Handle,
});

function headSizes({ tokens, state }: StepContext, { inputs, attributes }: HeadStep) {
  const { nHeads, headDim, dState, nGroups } = attributes;
  const froms = { xFrom: inputs.x.from, BFrom: inputs.B.from, CFrom: inputs.C.from };
  return { tokens, slots: state.sizes.slots, nHeads, headDim, dState, nGroups, ...froms };
}

/** C·h of a recurrence over heads, whose state moves on. */
async function readHeads(
  { inputs, attributes: { h } }: HeadStep,
  sizes: heads.HeadSizes,
  rates: readonly Handle[],
  { isStep, state, read, inner, call }: StepContext,
): Promise<Handle> {
  const { runs, spans, live } = arrays(call);
  const [x, B, C] = [inputs.x, inputs.B, inputs.C].map(read);
  if (isStep) {
    await state.write(h, heads.headsStepState(sizes), ...rates, x, B, state.get(h), live);
    return inner(heads.headsStepRead(sizes), state.get(h), C);
  }
  const y = await inner(heads.headsRead(sizes), ...rates, x, B, C, state.get(h), runs);
  await state.write(h, heads.headsState(sizes), ...rates, x, B, state.get(h), spans);
  return y;
}
