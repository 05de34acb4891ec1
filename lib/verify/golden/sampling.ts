/** Upstream's token filters and metrics in terms of ours, and back. */

import { logSumExp } from '../../../reference/activations.ts';
import { log } from '../../../reference/elementary.ts';
import { ConfigError } from '../../../reference/errors.ts';
import type { SamplingStep } from '../../../reference/sampling.ts';
import { type Tensor, zeros } from '../../../reference/tensor.ts';
import type { Adapter, GoldenCase } from './case.ts';
import type { Translation } from './translation.ts';

/** log_softmax of x / temperature, with what belongs to it. */
export const logSoftmax: Adapter = async (c, run) => {
  const x = c.tensor('x');
  const temperature = c.number('temperature', 1);
  const scaled = { data: x.data.map((v) => v / temperature), shape: x.shape };
  const { y: logs } = await run('logSoftmax', { x: scaled });
  const { y: probabilities } = await run('softmax', { x: scaled });
  const width = x.shape[x.shape.length - 1];
  const rows = x.data.length / width;
  const perRow = (f: (row: number) => number): Tensor => {
    const data = zeros(rows, x.data);
    for (let row = 0; row < rows; row++) data[row] = f(row);
    return { data, shape: x.shape.slice(0, -1) };
  };
  return {
    log_softmax: logs,
    softmax: probabilities,
    logsumexp: perRow((row) => logSumExp(scaled.data, row * width, width)),
    entropy: perRow((row) => {
      let sum = 0;
      for (let i = row * width; i < (row + 1) * width; i++) {
        const p = probabilities.data[i];
        if (p > 0) sum -= p * (Number.isFinite(logs.data[i]) ? logs.data[i] : log(p));
      }
      return sum;
    }),
  };
};

/** softmax and logSoftmax of ours as log_softmax, of whose outputs each reads its own. */
const softmaxCase = (output: 'softmax' | 'log_softmax'): Translation<'softmax' | 'logSoftmax'> => ({
  names: ['log_softmax'],
  write: ({ x }) => ({ op: 'log_softmax', tensors: { x }, attributes: { temperature: 1 } }),
  read: async (answer, { x }) => ({ y: await answer.tensor(output, ...x.shape) }),
});
export const probabilitiesCase = softmaxCase('softmax');
export const logSoftmaxCase = softmaxCase('log_softmax');

/** The steps that a method names: one filter, or "some order: temperature -> top_k -> top_p". */
function samplingSteps(c: GoldenCase): SamplingStep[] {
  const method = c.text('method') ?? '';
  const names = method
    .slice(method.lastIndexOf(':') + 1)
    .split('->')
    .map((name) => name.trim());
  const minKeep = c.number('min_tokens_to_keep', 1);
  return names.flatMap((name): SamplingStep[] => {
    switch (name) {
      case 'temperature':
        return [{ kind: 'temperature', temperature: c.number('temperature', 1) }];
      case 'top_k': {
        const k = c.number('top_k', 0);
        return k > 0 ? [{ kind: 'topK', k, minKeep }] : [];
      }
      case 'top_p': {
        const p = c.number('top_p', 1);
        if (p >= 1) return [];
        if (p > 0) return [{ kind: 'topP', p, minKeep }];
        // mamba_ssm switches it off at 0, transformers keeps minKeep tokens
        return c.provenance.includes('mamba')
          ? []
          : [{ kind: 'topP', p: Number.MIN_VALUE, minKeep }];
      }
      case 'min_p':
        return [{ kind: 'minP', p: c.number('min_p', 0), minKeep }];
      case 'repetition_penalty':
        return [{ kind: 'repetitionPenalty', penalty: c.number('penalty', 1) }];
      default:
        throw new ConfigError(`${c.name}: method: no such step: "${name}"`, 'CaseInput');
    }
  });
}

/** logits_filter. */
export const logitsFilter: Adapter = async (c, run) => {
  const logits = c.tensor('logits');
  const [rows, vocabSize] = logits.shape;
  const previous = c.optionalIntegers('prev');
  const perRow = previous ? previous.data.length / rows : 0;
  const { logits: filtered } = await run('filterLogits', {
    logits,
    steps: samplingSteps(c),
    previous: Array.from({ length: rows }, (_, r) =>
      (previous?.data ?? []).slice(r * perRow, (r + 1) * perRow),
    ),
  });
  const kept = Array.from(filtered.data, (x) => (x > Number.NEGATIVE_INFINITY ? 1 : 0));
  return {
    filtered,
    kept: { integers: { data: kept, shape: [rows, vocabSize] } },
    probs: (await run('softmax', { x: filtered })).y,
  };
};

/**
 * filterLogits as logits_filter, which has at most one step of a kind, no bias of single tokens, one
 * min_tokens_to_keep for all, and as many previous tokens in every row.
 */
export const filterLogitsCase: Translation<'filterLogits'> = {
  names: ['logits_filter'],
  write: ({ logits, steps, previous }) => {
    const attributes: Record<string, unknown> = {};
    const methods: string[] = [];
    for (const step of steps) {
      const found = stepAttributes(step);
      if (!found || methods.includes(found.method)) return undefined;
      methods.push(found.method);
      for (const [name, value] of Object.entries(found.attributes)) {
        if (name in attributes && attributes[name] !== value) return undefined;
        attributes[name] = value;
      }
    }
    const isPenalised = methods.includes('repetition_penalty');
    const prev = isPenalised ? rectangle(previous ?? [], logits.shape[0]) : [];
    if (methods.length === 0 || !prev) return undefined;
    return {
      op: 'logits_filter',
      tensors: {
        logits,
        prev:
          prev.length > 0 && prev[0].length > 0
            ? { integers: { data: prev.flat(), shape: [prev.length, prev[0].length] } }
            : undefined,
      },
      attributes: {
        method: methods.length === 1 ? methods[0] : `order: ${methods.join(' -> ')}`,
        ...attributes,
      },
    };
  },
  read: async (answer, { logits }) => ({
    logits: await answer.tensor('filtered', ...logits.shape),
  }),
};

/** A step by upstream's names; undefined where it has none. */
function stepAttributes(
  step: SamplingStep,
): { method: string; attributes: Record<string, number> } | undefined {
  switch (step.kind) {
    case 'temperature':
      return { method: 'temperature', attributes: { temperature: step.temperature } };
    case 'topK':
      return { method: 'top_k', attributes: { top_k: step.k, ...keeping(step.minKeep) } };
    case 'topP': // upstream's is switched off at 1
      if (step.p >= 1) return undefined;
      return { method: 'top_p', attributes: { top_p: step.p, ...keeping(step.minKeep) } };
    case 'minP':
      return { method: 'min_p', attributes: { min_p: step.p, ...keeping(step.minKeep) } };
    case 'repetitionPenalty':
      return { method: 'repetition_penalty', attributes: { penalty: step.penalty } };
    case 'logitBias':
      return undefined;
  }
}

const keeping = (minKeep = 1) => ({ min_tokens_to_keep: minKeep });

/** Rows of tokens made as long as the longest by repeating one; undefined where an empty row is beside others. */
function rectangle(
  previous: readonly (readonly number[])[],
  rows: number,
): (readonly number[])[] | undefined {
  const width = Math.max(0, ...previous.map((tokens) => tokens.length));
  if (width === 0) return [];
  const filled = Array.from({ length: rows }, (_, r) => {
    const tokens = previous[r] ?? [];
    return Array.from({ length: width }, (_, i) => tokens[Math.min(i, tokens.length - 1)]);
  });
  return previous.length === rows && previous.every((tokens) => tokens.length > 0)
    ? filled
    : undefined;
}

/** pass_at_k: one row per k, one column per problem. Upstream answers 1 where k exceeds the wrong samples. */
export const passAtK: Adapter = async (c, run) => {
  const nSamples = c.integers('num_samples').data;
  const nCorrect = c.integers('num_correct').data;
  const ks = c.numbers('k') ?? [];
  const data = new Float64Array(ks.length * nSamples.length);
  for (let i = 0; i < data.length; i++) {
    const problem = i % nSamples.length;
    const k = Math.min(ks[Math.floor(i / nSamples.length)], nSamples[problem] + 1);
    const input = { nSamples: nSamples[problem], nCorrect: nCorrect[problem], k };
    data[i] = k > nSamples[problem] ? 1 : (await run('passAtK', input)).probability;
  }
  return { pass_at_k: { data, shape: [ks.length, nSamples.length] } };
};

/** passAtK as pass_at_k of one problem and one k. */
export const passAtKCase: Translation<'passAtK'> = {
  names: ['pass_at_k'],
  write: ({ nSamples, nCorrect, k }) => ({
    op: 'pass_at_k',
    tensors: {
      num_samples: { integers: { data: [nSamples], shape: [1] } },
      num_correct: { integers: { data: [nCorrect], shape: [1] } },
    },
    attributes: { k: [k] },
  }),
  read: async (answer) => ({ probability: (await answer.tensor('pass_at_k', 1, 1)).data[0] }),
};
