/** Which model a Transformer becomes: a student's config from its teacher's. */

import type {
  AttentionConfig,
  DiscreteMamba2Config,
  LayerConfig,
  MambaInLlama2Config,
  MambaInLlamaConfig,
  ModelConfig,
} from '../../reference/config.ts';
import { ConfigError } from '../../reference/errors.ts';

/** The mixers that attention can be turned into, under the names of the published models. */
export const STUDENT_KINDS = ['mambaInLlama', 'mambaInLlama2', 'llamba'] as const;
export type StudentKind = (typeof STUDENT_KINDS)[number];

export interface StudentOptions {
  /** `mambaInLlama`: Mamba-1, `mambaInLlama2`: Mamba-2, `llamba`: Discrete Mamba-2. */
  readonly kind: StudentKind;
  /** Layers that stay attention, counted from 0. Default none: a pure student. */
  readonly keptAttention?: readonly number[];
  /** States of a group in `mambaInLlama`, a divisor of the teacher's key width. Default 16. */
  readonly dState?: number;
}

/** The mixer of a converted layer. */
export type StudentMixer = MambaInLlamaConfig | MambaInLlama2Config | DiscreteMamba2Config;

/** What the published models have. */
const DEFAULT_STATES = 16;
/** Fixed in the code of both publications: the norms of Llamba's layers, the gated norm of Mamba2InLlama. */
const PUBLISHED_EPS = 1e-5;

/**
 * A teacher's config with recurrent mixers in all layers but the kept ones; norms, MLPs and sizes stay. The
 * eps of Llamba's layer norms becomes 1e-5: its published code knows no other. A pure student has no longest
 * sequence.
 * @throws ConfigError when the teacher is no Llama, a kept layer does not exist, or dState does not fit.
 */
export function studentConfig(teacher: ModelConfig, options: StudentOptions): ModelConfig {
  const { kind, keptAttention = [], dState } = options;
  if (!STUDENT_KINDS.includes(kind)) {
    throw new ConfigError(`student: kind: expected ${STUDENT_KINDS.join(', ')}, got ${kind}`);
  }
  const kept = keptLayers(keptAttention, teacher.layers.length);
  const attentions = teacher.layers.map((layer, i) => attentionOf(layer, i, kept.has(i)));
  if (teacher.finalNorm.kind !== 'rms') throw notLlama('an RMSNorm at the end', 'a LayerNorm');
  const layers = teacher.layers.map((layer, i): LayerConfig => {
    if (kept.has(i)) return layer;
    const mixer = studentMixer(kind, attentions[i], teacher.dModel, dState);
    if (mixer.kind === 'mambaInLlama') checkStates(mixer, i);
    const norm = kind === 'llamba' ? { ...layer.norm, eps: PUBLISHED_EPS } : layer.norm;
    return { ...layer, norm, mixer };
  });
  const { contextLength, ...sizes } = teacher;
  return { ...sizes, layers, ...(kept.size > 0 && contextLength && { contextLength }) };
}

/**
 * The mixer that takes the place of an attention. Its heads are the query heads; keys and values of a group
 * of them stay as narrow as they are in MambaInLlama, where the mixer repeats them, and become a head's own in
 * Llamba, whose layout has as many heads of B as of C.
 */
export function studentMixer(
  kind: StudentKind,
  { nHeads, nKvHeads, headDim }: AttentionConfig,
  dModel: number,
  dState?: number,
): StudentMixer {
  const dXb = nKvHeads * headDim;
  if (kind !== 'mambaInLlama' && dState !== undefined && dState !== headDim) {
    throw new ConfigError(
      `student: dState: expected headDim = ${headDim}, got ${dState}; of ${kind} it is the teacher's`,
    );
  }
  switch (kind) {
    case 'mambaInLlama':
      return {
        kind,
        dInner: nHeads * headDim,
        dXb,
        dState: dState ?? DEFAULT_STATES,
        dConv: 4,
        dtRank: Math.ceil(dModel / 16),
        repeatsBeforeConv: true,
        hasXBias: false,
        hasZBias: false,
        hasOutBias: false,
        hasConvBias: true,
      };
    case 'mambaInLlama2':
      return {
        kind,
        nHeads,
        headDim,
        dXb,
        dState: headDim,
        dConv: 4,
        gatedNorm: { eps: PUBLISHED_EPS, groupSize: headDim, normBeforeGate: false },
        hasDPerChannel: false,
        repeatsBeforeConv: false,
        hasBias: false,
        hasConvBias: true,
      };
    case 'llamba':
      return {
        kind: 'discreteMamba2',
        nHeads,
        headDim,
        nGroups: nHeads,
        dState: headDim,
        dConv: 4,
        activation: 'identity',
        hasBias: false,
        hasConvBias: true,
      };
  }
}

function keptLayers(keptAttention: readonly number[], nLayers: number): Set<number> {
  const kept = new Set(keptAttention);
  const isLayer = (i: number) => Number.isInteger(i) && i >= 0 && i < nLayers;
  if (kept.size !== keptAttention.length || !keptAttention.every(isLayer)) {
    throw new ConfigError(
      `student: keptAttention: expected different layers from 0 to ${nLayers - 1}, ` +
        `got [${keptAttention.join(', ')}]`,
    );
  }
  return kept;
}

/** The attention of a Llama layer; one that is converted must have no biases, as students have none. */
function attentionOf({ norm, mixer, mlp }: LayerConfig, i: number, isKept: boolean) {
  const at = `layers[${i}]`;
  if (mixer.kind !== 'attention') throw notLlama(`attention in ${at}`, mixer.kind);
  if (norm.kind !== 'rms') throw notLlama(`RMSNorms in ${at}`, 'LayerNorms');
  if (mlp?.kind !== 'swiglu') throw notLlama(`a SwiGLU MLP in ${at}`, mlp?.kind ?? 'none');
  if (mixer.dConv || mixer.dParallelMlp || mixer.scale !== undefined) {
    throw notLlama(`plain attention in ${at}`, 'one with a convolution, an MLP or a scale');
  }
  if (!isKept && (mixer.hasQkvBias || mixer.hasOutBias)) {
    throw new ConfigError(
      `student: ${at}: expected attention without biases, got some; a student has no place for them`,
      'TeacherFamily',
    );
  }
  return mixer;
}

function notLlama(expected: string, got: string): ConfigError {
  return new ConfigError(
    `student: teacher: expected ${expected}, got ${got}; only models of the Llama family can be turned`,
    'TeacherFamily',
  );
}

function checkStates({ dState, dXb }: MambaInLlamaConfig, i: number): void {
  if (Number.isInteger(dState) && dState >= 1 && dXb % dState === 0) return;
  throw new ConfigError(
    `student: layers[${i}]: dState: expected a divisor of the teacher's key width nKvHeads·headDim = ${dXb}, ` +
      `got ${dState}; choose another dState`,
  );
}
