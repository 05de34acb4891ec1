/**
 * A decode step as anyone would first port it: the ops of the plan in order, one call each for the whole
 * batch, from host arrays to host arrays. Weights and states live on the host.
 *
 * On the ops of a gpu.js backend this is the naive port, the line to beat. Every op uploads what it reads and
 * reads back what it writes, so it shows what is gained by keeping weights, states and intermediates on the
 * device. What a careful author would do at once is done here too, or beating it would prove little: rows are
 * batched, kernels are built once, and what can be derived from weights (A, transposed matrices) is derived once.
 */

import type { Columns, PlanStep } from '../backends/plan.ts';
import type { RunOp } from '../backends/types.ts';
import { buildPlan } from '../lib/plan/buildPlan.ts';
import { runPlainStep } from '../lib/plan/plainSteps.ts';
import { weightNamed } from '../lib/plan/weights.ts';
import { decayRates } from '../reference/mixer.ts';
import type { Model } from '../reference/model.ts';
import { ropeAngles } from '../reference/rope.ts';
import type { LayerState, SequenceState, TokenCache } from '../reference/state.ts';
import { reshape, type Tensor } from '../reference/tensor.ts';

/** The state of one layer for all rows. */
interface BatchedState {
  /** Shape (batch, channels, dConv − 1). */
  convState?: Tensor;
  /** Shape (batch, dInner, dState) or (batch, nHeads, headDim, dState). */
  h?: Tensor;
  /** Shape (batch, length, width). */
  keys?: Tensor;
  values?: Tensor;
}

export class BatchedPort {
  readonly #model: Model;
  readonly #run: RunOp;
  readonly #steps: readonly PlanStep[];
  readonly #layers: BatchedState[];
  readonly #rates = new Map<string, Tensor>();
  readonly #batch: number;
  #position: number;
  #isFrozen = false;

  /** All rows start from the same state; a step takes each where its tokens lead. */
  constructor(model: Model, run: RunOp, state: SequenceState, batch: number) {
    this.#model = model;
    this.#run = run;
    this.#steps = buildPlan(model.config, 'step').steps;
    this.#batch = batch;
    this.#position = state.position;
    this.#layers = state.layers.map((layer) => batched(layer, batch));
  }

  /**
   * From here on the caches keep their length, and every step stands at the same position. The ops are built
   * for the sizes of their inputs: caches that grow would cost new kernels at every step, which is not what
   * is to be compared.
   */
  freeze(): void {
    this.#isFrozen = true;
  }

  /** Gives each row a token; returns the logits, shape (batch, vocabRows). */
  async step(tokens: readonly number[]): Promise<Tensor> {
    const buffers = new Map<string, Tensor>();
    const columns = (part: Columns) => cut(buffers.get(part.buffer) as Tensor, part);
    const weight = (name: string) => weightNamed(this.#model, name);
    const run = this.#run;
    const context = {
      run,
      precision: this.#model.precision,
      tokens,
      segments: [],
      columns,
      weight,
    };
    for (const step of this.#steps) {
      const y = (await this.#withState(step, columns)) ?? (await runPlainStep(step, context));
      buffers.set(step.y.buffer, { data: y.data, shape: [this.#batch, step.y.width] });
    }
    if (!this.#isFrozen) this.#position++;
    return buffers.get('logits') as Tensor;
  }

  /** Runs a step that depends on the state or the position; undefined for any other. */
  async #withState(
    step: PlanStep,
    columns: (part: Columns) => Tensor,
  ): Promise<Tensor | undefined> {
    const state = this.#layers[step.layer ?? 0];
    const as = (part: Columns, ...axes: number[]) => reshape(columns(part), this.#batch, ...axes);
    const weight = (name: string) => weightNamed(this.#model, name);
    switch (step.op) {
      case 'rope': {
        const { nHeads, headDim, pairing, frequencies } = step.attributes;
        const rates = Float64Array.from(frequencies);
        const angles = ropeAngles([this.#position], rates, this.#model.precision);
        const x = as(step.inputs.x, 1, nHeads, headDim);
        return (await this.#run('rope', { x, angles, pairing })).y;
      }
      case 'causalConv1dStep': {
        const { y, convState } = await this.#run('causalConv1dStep', {
          x: columns(step.inputs.x),
          weight: weight(step.weights.weight),
          bias: step.weights.bias === undefined ? undefined : weight(step.weights.bias),
          activation: step.attributes.activation,
          convState: state.convState as Tensor,
        });
        state.convState = convState;
        return y;
      }
      case 'selectiveScanStep': {
        const { nGroups, dState } = step.attributes;
        const { y, h } = await this.#run('selectiveScanStep', {
          x: columns(step.inputs.x),
          dtRaw: columns(step.inputs.dtRaw),
          dtBias: weight(step.weights.dtBias),
          A: this.#ratesOf(step.weights.ALog),
          B: as(step.inputs.B, nGroups, dState),
          C: as(step.inputs.C, nGroups, dState),
          D: weight(step.weights.D),
          z: columns(step.inputs.z),
          h: state.h as Tensor,
        });
        state.h = h;
        return y;
      }
      case 'ssdStep': {
        const { nHeads, headDim, nGroups, dState, dtLimit } = step.attributes;
        const D = weight(step.weights.D);
        const { y, h } = await this.#run('ssdStep', {
          x: as(step.inputs.x, nHeads, headDim),
          dtRaw: columns(step.inputs.dtRaw),
          dtBias: weight(step.weights.dtBias),
          dtLimit,
          A: this.#ratesOf(step.weights.ALog),
          B: as(step.inputs.B, nGroups, dState),
          C: as(step.inputs.C, nGroups, dState),
          D: reshape(D, nHeads, D.data.length / nHeads),
          z: step.inputs.z && as(step.inputs.z, nHeads, headDim),
          h: state.h as Tensor,
        });
        state.h = h;
        return y;
      }
      case 'attentionStep': {
        const { nHeads, nKvHeads, headDim, scale } = step.attributes;
        const keys = appended(state.keys as Tensor, columns(step.inputs.k));
        const values = appended(state.values as Tensor, columns(step.inputs.v));
        if (!this.#isFrozen) Object.assign(state, { keys, values });
        const heads = (cache: Tensor) =>
          reshape(cache, this.#batch, cache.shape[1], nKvHeads, headDim);
        const q = as(step.inputs.q, nHeads, headDim);
        const input = { q, keys: heads(keys), values: heads(values), scale };
        return (await this.#run('attentionStep', input)).y;
      }
      default:
        return undefined;
    }
  }

  /** A = −exp(ALog). */
  #ratesOf(name: string): Tensor {
    const ALog = weightNamed(this.#model, name);
    const rates = this.#rates.get(name) ?? decayRates(ALog, ALog.data);
    this.#rates.set(name, rates);
    return rates;
  }
}

function batched({ convState, h, keys, values }: LayerState, batch: number): BatchedState {
  const repeated = ({ data, shape: [, ...rest] }: Tensor): Tensor => {
    const all = new Float32Array(data.length * batch);
    for (let b = 0; b < batch; b++) all.set(data, b * data.length);
    return { data: all, shape: [batch, ...rest] };
  };
  const cache = ({ data, length, width }: TokenCache) =>
    repeated({ data: data.subarray(0, length * width), shape: [1, length, width] });
  return {
    ...(convState && { convState: repeated(convState) }),
    ...(h && { h: repeated(h) }),
    ...(keys && { keys: cache(keys) }),
    ...(values && { values: cache(values) }),
  };
}

/** (batch, length, width) with one more row (batch, width) at the end of each sequence. */
function appended({ data, shape: [batch, length, width] }: Tensor, last: Tensor): Tensor {
  const all = new Float32Array(batch * (length + 1) * width);
  for (let b = 0; b < batch; b++) {
    const from = b * length * width;
    all.set(data.subarray(from, from + length * width), from + b * width);
    all.set(last.data.subarray(b * width, (b + 1) * width), from + (length + b) * width);
  }
  return { data: all, shape: [batch, length + 1, width] };
}

/** A copy of some columns, or the buffer itself where they are all of it. */
function cut(t: Tensor, { from, width }: Columns): Tensor {
  const [rows, columns] = t.shape;
  if (width === columns) return t;
  const data = new Float32Array(rows * width);
  for (let r = 0; r < rows; r++) {
    const start = r * columns + from;
    data.set(t.data.subarray(start, start + width), r * width);
  }
  return { data, shape: [rows, width] };
}
