/** A golden model case: prefill, then 16 tokens decoded greedily, with everything upstream recorded. */

import type { Executor } from '../../../backends/types.ts';
import type { MixerConfig } from '../../../reference/config.ts';
import { type Model, prefill, step } from '../../../reference/model.ts';
import { greedyToken } from '../../../reference/sampling.ts';
import { type LayerState, newState, type SequenceState } from '../../../reference/state.ts';
import { sizeOf, type Tensor, type Vector, zeros } from '../../../reference/tensor.ts';
import type { TraceEvent } from '../../../reference/trace.ts';
import type { SchemeName } from '../../checkpoint/names.ts';
import type { GoldenCase, Outputs } from './case.ts';
import { filled, permute, slice, stack, withShape } from './layout.ts';

const NEW_TOKENS = 16;

/** out.logits, out.hidden.i, out.step_logits, out.greedy_ids and out.state.i.* of a model case. */
export function runModelCase(goldenCase: GoldenCase, model: Model, scheme: SchemeName): Outputs {
  const ids = goldenCase.integers('input_ids');
  const [batch, seqlen] = ids.shape;
  const rows = Array.from({ length: batch }, (_, b) =>
    decodeRow(model, ids.data.slice(b * seqlen, (b + 1) * seqlen)),
  );
  const outputs: Outputs = {
    logits: stack(rows.map((row) => row.logits)),
    step_logits: stack(rows.map((row) => row.stepLogits)),
    greedy_ids: {
      integers: { data: rows.flatMap((row) => row.tokens), shape: [batch, NEW_TOKENS] },
    },
  };
  model.config.layers.forEach(({ mixer }, i) => {
    outputs[`hidden.${i}`] = stack(rows.map((row) => row.hidden[i]));
    const states = rows.map((row) =>
      layerState(mixer, row.state.layers[i], row.windows[i], scheme),
    );
    for (const name of Object.keys(states[0])) {
      outputs[`state.${i}.${name}`] = stack(states.map((state) => state[name]));
    }
  });
  return outputs;
}

/** out.logits, out.step_logits and out.greedy_ids of a model case, decoded by any executor. */
export async function decodeModelCase(
  goldenCase: GoldenCase,
  executor: Executor,
): Promise<Outputs> {
  const ids = goldenCase.integers('input_ids');
  const [batch, seqlen] = ids.shape;
  const prompts = Array.from({ length: batch }, (_, b) =>
    ids.data.slice(b * seqlen, (b + 1) * seqlen),
  );
  // logits are given after the last token only, so the prompts go in token by token
  const taken = await executor.prefill(prompts.map(([first]) => [first]));
  const rows = taken.map(({ row }) => row);
  let now = taken.map(({ logits }) => logits);
  const said = now.map((logits) => [logits]);
  const decoded = prompts.map((): number[] => []);
  for (let t = 1; t < seqlen + NEW_TOKENS - 1; t++) {
    const tokens = now.map((logits, b) => (t < seqlen ? prompts[b][t] : likeliest(logits)));
    now = await executor.step(rows, tokens);
    for (const [b, logits] of now.entries()) {
      said[b].push(logits);
      if (t >= seqlen) decoded[b].push(tokens[b]);
    }
  }
  for (const [b, logits] of now.entries()) decoded[b].push(likeliest(logits));
  const table = (from: number, count: number) =>
    stack(
      said.map((all) =>
        stack(all.slice(from, from + count).map((data) => ({ data, shape: [data.length] }))),
      ),
    );
  return {
    logits: table(0, seqlen),
    step_logits: table(seqlen - 1, NEW_TOKENS),
    greedy_ids: { integers: { data: decoded.flat(), shape: [batch, NEW_TOKENS] } },
  };
}

const likeliest = (logits: Vector) =>
  greedyToken({ logits: { data: logits, shape: [1, logits.length] } }).tokens[0];

interface DecodedRow {
  logits: Tensor;
  hidden: Tensor[];
  stepLogits: Tensor;
  tokens: number[];
  state: SequenceState;
  /** The convolution window of each layer at the last token. */
  windows: (Tensor | undefined)[];
}

function decodeRow(model: Model, prompt: readonly number[]): DecodedRow {
  const state = newState(model.config, model.precision);
  const hidden: Tensor[] = [];
  const { logits } = prefill({
    model,
    state,
    tokens: prompt,
    onHidden: (layer, x) => {
      hidden[layer] = x;
    },
  });
  const vocabRows = logits.shape[1];
  let next: Vector = slice(logits, prompt.length - 1).data;
  const stepLogits: Tensor[] = [];
  const tokens: number[] = [];
  const windows: (Tensor | undefined)[] = [];
  const trace = (event: TraceEvent) => {
    if (event.kind === 'ssm') windows[event.layer] = event.window;
  };
  for (let i = 0; i < NEW_TOKENS; i++) {
    const row = { data: next, shape: [1, vocabRows] };
    const [token] = greedyToken({ logits: row }).tokens;
    stepLogits.push(withShape(row, vocabRows));
    tokens.push(token);
    next = step(model, state, token, trace);
  }
  return { logits, hidden, stepLogits: stack(stepLogits), tokens, state, windows };
}

/** A layer's state in upstream's shapes, without the batch axis. */
function layerState(
  mixer: MixerConfig,
  state: LayerState,
  window: Tensor | undefined,
  scheme: SchemeName,
): Record<string, Tensor> {
  if (mixer.kind === 'attention') {
    const { keys, values } = state;
    if (!keys || !values) return {};
    const shape = [1, keys.length, mixer.nKvHeads, mixer.headDim];
    const asTensor = (data: Vector): Tensor => ({ data: data.slice(0, sizeOf(shape)), shape });
    const [k, v] = [asTensor(keys.data), asTensor(values.data)];
    if (scheme === 'stateSpaces' || scheme === 'm1') {
      // one cache of (length, 2, nKvHeads, headDim)
      const kv = filled(k, 0, keys.length, 2, mixer.nKvHeads, mixer.headDim);
      const width = mixer.nKvHeads * mixer.headDim;
      for (let t = 0; t < keys.length; t++) {
        kv.data.set(k.data.subarray(t * width, (t + 1) * width), 2 * t * width);
        kv.data.set(v.data.subarray(t * width, (t + 1) * width), (2 * t + 1) * width);
      }
      return { kv };
    }
    return {
      k: slice(permute(k, 'blhd', 'bhld'), 0),
      v: slice(permute(v, 'blhd', 'bhld'), 0),
    };
  }
  const h = slice(state.h as Tensor, 0);
  // upstream keeps the whole window, the current token last
  const conv = window && toLike(window, h.data);
  return { ...(conv && { conv }), ssm: ssmShape(mixer, h, scheme) };
}

function ssmShape(mixer: MixerConfig, h: Tensor, scheme: SchemeName): Tensor {
  if (mixer.kind !== 'mambaInLlama') return h;
  const { dInner, dState } = mixer;
  return scheme === 'mambaInLlamaSplit'
    ? withShape(h, dInner, 1, dState)
    : withShape(h, dInner / dState, dState, dState);
}

function toLike(t: Tensor, like: Vector): Tensor {
  const data = zeros(t.data.length, like);
  data.set(t.data);
  return { data, shape: t.shape };
}
