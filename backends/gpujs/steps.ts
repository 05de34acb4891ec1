/** Which kernels each step of a plan runs, where tokens do not meet each other. */

import type { Columns, PlanStep } from '../plan.ts';
import * as columns from './columns.ts';
import { embedding } from './embedding.ts';
import type { Handle, KernelSpec } from './kernel.ts';
import { linear } from './linear.ts';
import * as norms from './norms.ts';
import { rope } from './rope.ts';
import { runSequenceStep } from './sequenceSteps.ts';
import type { DeviceState } from './state.ts';
import type { WeightStore } from './weights.ts';

/** What changes from call to call; see causalConv1d.ts for runs and spans. */
export interface Call {
  readonly tokens: Handle;
  /** Only where a step needs them, as the next two. */
  readonly runs?: Handle;
  readonly spans?: Handle;
  /** 1 for each slot that takes a token, 0 for the others. Shape (slots). */
  readonly live?: Handle;
  /** The token of each slot whose logits are wanted. Shape (slots). Only in prefill plans. */
  readonly last?: Handle;
  /** Cosines and sines of the tokens' positions, shape (tokens, nPairs), by {@link frequencyKey}. */
  readonly rotations: ReadonlyMap<string, { readonly cos: Handle; readonly sin: Handle }>;
}

/** Which rotations a rope step needs. */
export const frequencyKey = (frequencies: readonly number[]) => frequencies.join();

type Runner = (spec: KernelSpec, ...args: readonly Handle[]) => Promise<Handle>;

/** Where a step finds what it reads, and where its kernels write. */
export interface StepContext {
  readonly tokens: number;
  /** Whether every slot has exactly one token, in its own place. */
  readonly isStep: boolean;
  readonly call: Call;
  readonly weights: WeightStore;
  readonly state: Pick<DeviceState, 'sizes' | 'get' | 'write'>;
  read(columns: Columns): Handle;
  /** Runs a kernel that makes the step's output. */
  readonly out: Runner;
  /** Runs a kernel whose output is needed within the step only. */
  readonly inner: Runner;
}

/** Runs one step; returns its output. */
export async function runStep(step: PlanStep, context: StepContext): Promise<Handle> {
  const { tokens, call, weights, read, out, inner } = context;
  const { width } = step.y;
  const vector = async (name: string | undefined) =>
    name === undefined ? [] : [await weights.vector(name)];
  switch (step.op) {
    case 'embedding': {
      const w = await weights.matrix(step.weights.weight);
      return out(embedding({ tokens, dModel: width }), call.tokens, w);
    }
    case 'linear': {
      const { x, residual } = step.inputs;
      const bias = await vector(step.weights.bias);
      const [hasBias, hasResidual] = [bias.length > 0, residual !== undefined];
      const spec = linear({
        tokens,
        dIn: x.width,
        dOut: width,
        xFrom: x.from,
        hasBias,
        hasResidual,
      });
      const w = await weights.matrix(step.weights.weight);
      return out(spec, read(x), w, ...bias, ...(residual ? [read(residual)] : []));
    }
    case 'rmsNorm':
    case 'layerNorm': {
      const { x } = step.inputs;
      const sizes = { tokens, width, xFrom: x.from, ...step.attributes };
      const weight = await weights.vector(step.weights.weight);
      const bias = await vector(step.weights.bias);
      const hasBias = bias.length > 0;
      if (step.op === 'rmsNorm') {
        const scale = await inner(norms.inverseRms(sizes), read(x));
        return out(
          norms.scaled(sizes, { hasMean: false, hasBias }),
          read(x),
          scale,
          weight,
          ...bias,
        );
      }
      const mean = await inner(norms.mean(sizes), read(x));
      const scale = await inner(norms.inverseDeviation(sizes), read(x), mean);
      const spec = norms.scaled(sizes, { hasMean: true, hasBias });
      return out(spec, read(x), scale, weight, mean, ...bias);
    }
    case 'gatedRmsNorm': {
      const { x, z } = step.inputs;
      const { normBeforeGate: isLate } = step.attributes;
      const gateSizes = { tokens, width, valueFrom: x.from, gateFrom: z.from, hasBias: false };
      const normed = isLate ? read(x) : await inner(columns.gate(gateSizes), read(x), read(z));
      const xFrom = isLate ? x.from : 0;
      const sizes = { tokens, width, xFrom, zFrom: z.from, ...step.attributes };
      const scale = await inner(norms.groupInverseRms(sizes), normed);
      const weight = await weights.vector(step.weights.weight);
      const spec = norms.groupScaled(sizes, { hasZ: isLate, hasBias: false });
      return out(spec, normed, scale, weight, ...(isLate ? [read(z)] : []));
    }
    case 'gate': {
      const { value, gate } = step.inputs;
      const bias = await vector(step.weights.gateBias);
      const hasBias = bias.length > 0;
      const sizes = { tokens, width, valueFrom: value.from, gateFrom: gate.from, hasBias };
      return out(columns.gate(sizes), read(value), read(gate), ...bias);
    }
    case 'joinColumns': {
      const { a, b, c } = step.inputs;
      const parts = c ? [a, b, c] : [a, b];
      return out(columns.joinColumns(tokens, parts), ...parts.map(read));
    }
    case 'repeatColumns': {
      const { x } = step.inputs;
      const sizes = { tokens, columns: x.width, xFrom: x.from, ...step.attributes };
      return out(columns.repeatColumns(sizes), read(x));
    }
    case 'lastTokens':
      return out(
        columns.pickRows({ rows: tokens, width }),
        read(step.inputs.x),
        call.last as Handle,
      );
    case 'rope': {
      const { nHeads, headDim, pairing, frequencies } = step.attributes;
      const { x } = step.inputs;
      const nPairs = frequencies.length;
      const rotation = call.rotations.get(frequencyKey(frequencies));
      const { cos, sin } = rotation as { cos: Handle; sin: Handle };
      const spec = rope({ tokens, nHeads, headDim, nPairs, xFrom: x.from, pairing });
      return out(spec, read(x), cos, sin);
    }
    default:
      return runSequenceStep(step, context);
  }
}
