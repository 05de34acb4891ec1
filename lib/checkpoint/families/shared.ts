/** Parts of configs that several families have in common. */

import type {
  AttentionConfig,
  LayerConfig,
  MlpConfig,
  NormConfig,
} from '../../../reference/config.ts';
import type { RopeScaling } from '../../../reference/rope.ts';
import type { Fields } from '../fields.ts';

/** The families whose checkpoints can be read. */
export type Family =
  | 'mamba'
  | 'mamba2'
  | 'mamba2-attention'
  | 'llama'
  | 'llamba'
  | 'mambainllama'
  | 'mambainllama2'
  | 'granitehybrid';

/** silu under both of its names. */
export function expectSilu(fields: Fields, name: string): void {
  fields.choice(name, ['silu', 'swish'], 'silu');
}

/** dt_rank: a number, or ⌈dModel / 16⌉ for 'auto' and when absent. */
export function readDtRank(fields: Fields, name: string, dModel: number): number {
  const auto = Math.ceil(dModel / 16);
  return fields.raw(name) === 'auto' ? auto : fields.integer(name, { default: auto });
}

/** A [min, max] of Δ, where max may be infinite in any of the ways that configs write it. */
export function readDtLimit(
  fields: Fields,
  name: string,
): readonly [min: number, max: number] | undefined {
  const value = fields.raw(name);
  if (value === undefined || value === null) return undefined;
  const bounds = Array.isArray(value)
    ? value.map((item) => {
        // transformers 5 writes {"__float__": "Infinity"}
        const text = item instanceof Map ? item.get('__float__') : item;
        if (text === 'Infinity' || text === 'inf') return Number.POSITIVE_INFINITY;
        return typeof text === 'number' ? text : Number.NaN;
      })
    : [];
  const [min, max] = bounds;
  if (bounds.length !== 2 || !(min <= max) || !Number.isFinite(min)) {
    fields.refuse(name, `expected [min, max] with min ≤ max, got ${bounds.join(', ') || 'none'}`);
  }
  return min <= 0 && max === Number.POSITIVE_INFINITY ? undefined : [min, max];
}

/** Llama's rope_scaling, or transformers 5's rope_parameters. */
export function readRope(fields: Fields, rotaryDim: number): AttentionConfig['rope'] {
  const parameters = fields.has('rope_parameters') ? fields.object('rope_parameters') : undefined;
  const theta = (parameters?.has('rope_theta') ? parameters : fields).number('rope_theta', {
    default: 10000,
  });
  const scaling =
    parameters ?? (fields.has('rope_scaling') ? fields.object('rope_scaling') : undefined);
  return { rotaryDim, theta, pairing: 'half', ...(scaling && withScaling(scaling)) };
}

function withScaling(fields: Fields): { scaling?: RopeScaling } {
  // older configs call it "type"
  const name = fields.has('rope_type') || !fields.has('type') ? 'rope_type' : 'type';
  const kind = fields.choice(name, ['default', 'linear', 'llama3'], 'default');
  if (kind === 'default') return {};
  const factor = fields.number('factor');
  if (kind === 'linear') return { scaling: { kind, factor } };
  const lowFreqFactor = fields.number('low_freq_factor');
  const highFreqFactor = fields.number('high_freq_factor');
  if (!(highFreqFactor > lowFreqFactor)) {
    fields.refuse('high_freq_factor', `expected more than low_freq_factor, got ${highFreqFactor}`);
  }
  const originalContext = fields.integer('original_max_position_embeddings');
  return { scaling: { kind, factor, lowFreqFactor, highFreqFactor, originalContext } };
}

/** A Llama layer: attention and SwiGLU, each behind an RMSNorm. */
export function readLlamaLayer(fields: Fields): LayerConfig {
  const dModel = fields.integer('hidden_size');
  const nHeads = fields.integer('num_attention_heads');
  const nKvHeads = fields.integer('num_key_value_heads', { default: nHeads });
  if (nHeads % nKvHeads !== 0) {
    fields.refuse('num_key_value_heads', `expected a divisor of ${nHeads} heads, got ${nKvHeads}`);
  }
  if (!fields.has('head_dim') && dModel % nHeads !== 0) {
    fields.refuse('num_attention_heads', `expected a divisor of ${dModel}, got ${nHeads}`);
  }
  const headDim = fields.integer('head_dim', { default: dModel / nHeads });
  if (headDim % 2 !== 0) {
    fields.refuse('head_dim', `expected an even number (rotary pairs), got ${headDim}`);
  }
  if (fields.number('partial_rotary_factor', { default: 1 }) !== 1) {
    fields.refuse('partial_rotary_factor', 'expected 1, as in Llama');
  }
  expectSilu(fields, 'hidden_act');
  const hasBias = fields.boolean('attention_bias', false);
  return {
    norm: { kind: 'rms', eps: fields.number('rms_norm_eps', { default: 1e-6 }) },
    mixer: {
      kind: 'attention',
      nHeads,
      nKvHeads,
      headDim,
      rope: readRope(fields, headDim),
      hasQkvBias: hasBias,
      hasOutBias: hasBias,
    },
    mlp: swiglu(fields.integer('intermediate_size'), fields.boolean('mlp_bias', false)),
  };
}

export function swiglu(dHidden: number, hasBias: boolean): MlpConfig {
  return { kind: 'swiglu', dHidden, hasBias };
}

export function rms(eps: number): NormConfig {
  return { kind: 'rms', eps };
}

/** The next multiple: mamba_ssm pads vocabularies and hidden widths. */
export function roundUp(n: number, multiple: number): number {
  return Math.ceil(n / multiple) * multiple;
}
