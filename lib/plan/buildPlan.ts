/** From a config to its plans: every family wired once. */

import type { Columns, Plan } from '../../backends/plan.ts';
import { checkConfig } from '../../reference/checkConfig.ts';
import type {
  AttentionConfig,
  LayerConfig,
  MixerConfig,
  MlpConfig,
  ModelConfig,
  NormConfig,
} from '../../reference/config.ts';
import { ropeFrequencies } from '../../reference/rope.ts';
import {
  convolve,
  discreteMamba2,
  type MixerWiring,
  mamba,
  mamba2,
  mambaInLlama,
  mambaInLlama2,
} from './recurrences.ts';
import { split, Wiring } from './wiring.ts';

/**
 * The plan of a model: `prefill` for packed tokens of several sequences, whose last step gives one row of
 * logits per sequence; `step` for one token of each.
 * @throws ConfigError for a config that cannot be a model.
 */
export function buildPlan(config: ModelConfig, kind: Plan['kind']): Plan {
  checkConfig(config);
  const w = new Wiring(kind);
  let x = w.add('embedded', {
    op: 'embedding',
    inputs: {},
    weights: { weight: 'embedding' },
    width: config.dModel,
  });
  config.layers.forEach((layer, i) => {
    w.layer = i;
    x = wireLayer(w, x, layer);
  });
  w.layer = undefined;
  if (kind === 'prefill') {
    x = w.add('last', { op: 'lastTokens', inputs: { x }, width: x.width });
  }
  const normed = wireNorm(w, 'finalNormed', 'finalNorm', x, config.finalNorm);
  w.add('logits', {
    op: 'linear',
    inputs: { x: normed },
    weights: {
      weight: config.isTied ? 'embedding' : 'head',
      ...(config.hasHeadBias && { bias: 'headBias' }),
    },
    width: config.vocabRows,
  });
  return { kind, config, steps: w.steps, state: w.state };
}

/** x += mixer(norm(x)), then x += mlp(norm(x)). */
function wireLayer(w: Wiring, x: Columns, { norm, mixer, mlp }: LayerConfig): Columns {
  const u = wireNorm(w, 'mixerNormed', w.weight('mixerNorm'), x, norm);
  const mixed = w.add('mixed', {
    op: 'linear',
    inputs: { x: wireMixer(w, u, mixer), residual: x },
    weights: {
      weight: w.weight('mixer.outProj'),
      ...w.optionalWeight('bias', 'mixer.outProjBias', hasOutBias(mixer)),
    },
    width: x.width,
  });
  if (!mlp) return mixed;
  return wireMlp(w, mixed, wireNorm(w, 'mlpNormed', w.weight('mlpNorm'), mixed, norm), mlp);
}

function wireNorm(
  w: Wiring,
  name: string,
  weight: string,
  x: Columns,
  config: NormConfig,
): Columns {
  const { kind, eps } = config;
  const inputs = { x };
  const attributes = { eps };
  const bias = kind === 'layer' ? { bias: `${weight}.bias` } : {};
  return w.add(name, {
    op: kind === 'rms' ? 'rmsNorm' : 'layerNorm',
    inputs,
    weights: { weight: `${weight}.weight`, ...bias },
    attributes,
    width: x.width,
  });
}

function wireMixer(w: Wiring, u: Columns, mixer: MixerConfig): Columns {
  switch (mixer.kind) {
    case 'mamba':
      return mamba(w, u, mixer);
    case 'mamba2':
      return mamba2(w, u, mixer);
    case 'discreteMamba2':
      return discreteMamba2(w, u, mixer);
    case 'mambaInLlama':
      return mambaInLlama(w, u, mixer);
    case 'mambaInLlama2':
      return mambaInLlama2(w, u, mixer);
    case 'attention':
      return attention(w, u, mixer);
  }
}

function hasOutBias(mixer: MixerConfig): boolean {
  return 'hasOutBias' in mixer ? mixer.hasOutBias : mixer.hasBias;
}

/** Projections, perhaps a convolution, rotation, cache; perhaps an MLP beside it. */
const attention: MixerWiring<AttentionConfig> = (w, u, config) => {
  const { nHeads, nKvHeads, headDim, dConv, dParallelMlp = 0, rope, hasQkvBias } = config;
  const [qWidth, kvWidth] = [nHeads * headDim, nKvHeads * headDim];
  const projected = w.add('projected', {
    op: 'linear',
    inputs: { x: u },
    weights: {
      weight: w.weight('mixer.inProj'),
      ...w.optionalWeight('bias', 'mixer.inProjBias', hasQkvBias),
    },
    width: qWidth + 2 * kvWidth + 2 * dParallelMlp,
  });
  const widths = [qWidth + 2 * kvWidth, dParallelMlp, dParallelMlp];
  const [qkvIn, value, gate] = split(projected, widths);
  const qkv = dConv ? convolve(w, qkvIn, config, 'identity', true) : qkvIn;
  const [q, k, v] = split(qkv, [qWidth, kvWidth, kvWidth]);
  const frequencies = rope ? Array.from(ropeFrequencies(rope)) : [];
  const rotate = (name: string, x: Columns, heads: number) =>
    rope
      ? w.add(name, {
          op: 'rope',
          inputs: { x },
          attributes: { nHeads: heads, headDim, pairing: rope.pairing, frequencies },
          width: x.width,
        })
      : x;
  const heads = w.add('heads', {
    op: w.sequenceOp('attention'),
    inputs: { q: rotate('qRotated', q, nHeads), k: rotate('kRotated', k, nKvHeads), v },
    attributes: {
      ...{ nHeads, nKvHeads, headDim, scale: config.scale ?? 1 / Math.sqrt(headDim) },
      keys: w.slot('keys', kvWidth),
      values: w.slot('values', kvWidth),
    },
    width: qWidth,
  });
  if (dParallelMlp === 0) return heads;
  const hidden = w.add('parallelMlp', { op: 'gate', inputs: { value, gate }, width: dParallelMlp });
  return w.add('joined', {
    op: 'joinColumns',
    inputs: { a: heads, b: hidden },
    width: qWidth + dParallelMlp,
  });
};

/** SwiGLU with separate matrices, or mamba_ssm's with one; added to the residual stream. */
function wireMlp(w: Wiring, residual: Columns, x: Columns, config: MlpConfig): Columns {
  const { kind, dHidden, hasBias } = config;
  const affine = (
    name: string,
    matrix: string,
    inputs: { x: Columns; residual?: Columns },
    width: number,
  ) =>
    w.add(name, {
      op: 'linear',
      inputs,
      weights: {
        weight: w.weight(`mlp.${matrix}`),
        ...w.optionalWeight('bias', `mlp.${matrix}Bias`, hasBias),
      },
      width,
    });
  let value: Columns;
  let gate: Columns;
  if (kind === 'swiglu') {
    gate = affine('gateIn', 'gate', { x }, dHidden);
    value = affine('up', 'up', { x }, dHidden);
  } else {
    [value, gate] = split(affine('valueGate', 'fc1', { x }, 2 * dHidden), [dHidden, dHidden]);
  }
  const hidden = w.add('hidden', { op: 'gate', inputs: { value, gate }, width: dHidden });
  const down = kind === 'swiglu' ? 'down' : 'fc2';
  return affine('after', down, { x: hidden, residual }, residual.width);
}
