/** The Mamba models of a Transformer's own width: what distillation will make of it. */

import type { LayerConfig, MixerConfig, ModelConfig } from '../../reference/config.ts';
import { ConfigError } from '../../reference/errors.ts';
import { studentMixer } from '../distil/studentConfig.ts';

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
  const { dModel } = teacher;
  const llamba = studentMixer('llamba', attention.mixer, dModel);
  const inLlama = studentMixer('mambaInLlama', attention.mixer, dModel);
  const mamba: MixerConfig = {
    kind: 'mamba',
    dInner: 2 * dModel,
    dState: 16,
    dConv: 4,
    dtRank: Math.ceil(dModel / 16),
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
