/** The Mamba models of a Transformer's own width: what distillation will make of it. */

import type { LayerConfig, MixerConfig, ModelConfig } from '../../reference/config.ts';
import { ConfigError } from '../../reference/errors.ts';

/** A student's name and config. */
export interface Student {
  name: string;
  config: ModelConfig;
}

/**
 * Students of a Transformer with its width, depth and MLPs, their mixers as in the published models of each
 * kind: Llamba (heads of the teacher, a state as wide as a head), MambaInLlama (16 states a group, attention
 * kept in every fourth layer), and Mamba (expand 2, 16 states).
 * @throws ConfigError when the model has no attention layer to take the sizes from.
 */
export function studentsOf(teacher: ModelConfig): Student[] {
  const attention = teacher.layers.find(({ mixer }) => mixer.kind === 'attention');
  if (attention?.mixer.kind !== 'attention') {
    throw new ConfigError('students: expected a model with attention layers');
  }
  const { nHeads, nKvHeads, headDim } = attention.mixer;
  const dInner = nHeads * headDim;
  const dtRank = Math.ceil(teacher.dModel / 16);
  const llamba: MixerConfig = {
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
  const inLlama: MixerConfig = {
    kind: 'mambaInLlama',
    dInner,
    dXb: nKvHeads * headDim,
    dState: 16,
    dConv: 4,
    dtRank,
    repeatsBeforeConv: true,
    hasXBias: false,
    hasZBias: false,
    hasOutBias: false,
    hasConvBias: true,
  };
  const mamba: MixerConfig = {
    kind: 'mamba',
    dInner: 2 * teacher.dModel,
    dState: 16,
    dConv: 4,
    dtRank,
    hasBias: false,
    hasConvBias: true,
  };
  const withMixer = (choose: (layer: LayerConfig, i: number) => MixerConfig): ModelConfig => ({
    ...teacher,
    layers: teacher.layers.map((layer, i) => ({ ...layer, mixer: choose(layer, i) })),
  });
  return [
    {
      name: 'hybrid student (MambaInLlama, every 4th layer attention)',
      config: withMixer((layer, i) => (i % 4 === 3 ? layer.mixer : inLlama)),
    },
    { name: 'pure student (Llamba)', config: withMixer(() => llamba) },
    { name: 'pure student (Mamba)', config: withMixer(() => mamba) },
  ];
}
