/** A model's tensors as llama.cpp names and lays them out. */

import type {
  AttentionConfig,
  LayerConfig,
  Mamba2Config,
  MambaConfig,
  ModelConfig,
} from '../../reference/config.ts';
import { weightShapes } from '../../reference/model.ts';
import type { Tensor, Vector } from '../../reference/tensor.ts';
import { fitsBlocks, type GgufDtype, type GgufTensor } from './gguf.ts';
import { ROPE_FACTORS, ropeFactors } from './ggufRope.ts';

/** Weights by the names of weightShapes, made or found when asked for. */
export interface WeightSource {
  readonly config: ModelConfig;
  weight(name: string): Tensor;
}

/** A tensor of the file: which weight it is made of, and how. */
interface Origin {
  readonly weight: string;
  /** Of the file's tensor, where it is not the weight's. */
  readonly shape?: readonly number[];
  /** From the weight's numbers to the file's. Default: as they are. */
  readonly make?: (data: Vector) => Vector;
  /** Whether it stays F32 whatever the file's dtype is. */
  readonly isKept?: boolean;
}

/** All tensors of a model, in the order of its layers. */
export function ggufTensors(source: WeightSource, dtype: GgufDtype): GgufTensor[] {
  const { config } = source;
  const shapes = weightShapes(config);
  const origins = new Map<string, Origin>([
    ['token_embd.weight', { weight: 'embedding' }],
    ['output_norm.weight', { weight: 'finalNorm.weight' }],
    ...(config.isTied ? [] : ([['output.weight', { weight: 'head' }]] as const)),
    ...config.layers.flatMap((layer, i) =>
      layerOrigins(layer, config.dModel).map(
        ([name, origin]) =>
          [`blk.${i}.${name}`, { ...origin, weight: `layers.${i}.${origin.weight}` }] as const,
      ),
    ),
  ]);
  const factors = factorsOf(config);
  const tensors = [...origins].map(([name, { weight, shape, make, isKept }]): GgufTensor => {
    const to = shape ?? shapes.get(weight) ?? [];
    const isMatrix = to.length === 2 && name.endsWith('.weight') && !isKept;
    return {
      name,
      shape: to,
      dtype: isMatrix && fitsBlocks(dtype, to) ? dtype : 'F32',
      data: () => {
        const { data } = source.weight(weight);
        return make ? make(data) : data;
      },
    };
  });
  return factors ? [...tensors, factors] : tensors;
}

/** Llama 3's stretched rope, which is a tensor in these files. */
function factorsOf({ layers }: ModelConfig): GgufTensor | undefined {
  const rope = layers.flatMap(({ mixer }) => (mixer.kind === 'attention' ? [mixer.rope] : []))[0];
  if (rope?.scaling?.kind !== 'llama3') return undefined;
  const shape = [rope.rotaryDim / 2];
  return { name: ROPE_FACTORS, dtype: 'F32', shape, data: () => ropeFactors(rope) };
}

function layerOrigins({ mixer, mlp }: LayerConfig, dModel: number): [string, Origin][] {
  const origins: [string, Origin][] = [['attn_norm.weight', { weight: 'mixerNorm.weight' }]];
  if (mixer.kind === 'attention') origins.push(...attentionOrigins(mixer, dModel));
  if (mixer.kind === 'mamba' || mixer.kind === 'mamba2') origins.push(...ssmOrigins(mixer));
  if (mlp) {
    origins.push(
      ['ffn_norm.weight', { weight: 'mlpNorm.weight' }],
      ['ffn_gate.weight', { weight: 'mlp.gate' }],
      ['ffn_up.weight', { weight: 'mlp.up' }],
      ['ffn_down.weight', { weight: 'mlp.down' }],
    );
  }
  return origins;
}

function ssmOrigins(mixer: MambaConfig | Mamba2Config): [string, Origin][] {
  const common: [string, Origin][] = [
    ['ssm_in.weight', { weight: 'mixer.inProj' }],
    ['ssm_conv1d.weight', { weight: 'mixer.convWeight', isKept: true }],
    ['ssm_conv1d.bias', { weight: 'mixer.convBias' }],
    ['ssm_dt.bias', { weight: 'mixer.dtBias' }],
    ['ssm_out.weight', { weight: 'mixer.outProj' }],
  ];
  const make = (ALog: Vector) => ALog.map((a) => -Math.exp(a));
  if (mixer.kind === 'mamba') {
    return [
      ...common,
      ['ssm_x.weight', { weight: 'mixer.xProj' }],
      ['ssm_dt.weight', { weight: 'mixer.dtProj' }],
      ['ssm_a', { weight: 'mixer.ALog', make }],
      ['ssm_d', { weight: 'mixer.D' }],
    ];
  }
  const { nHeads, nGroups, dInner } = mixer;
  const groups = [nGroups, dInner / nGroups];
  return [
    ...common,
    ['ssm_a', { weight: 'mixer.ALog', make, shape: [nHeads, 1] }],
    ['ssm_d', { weight: 'mixer.D', shape: [nHeads, 1] }],
    ['ssm_norm.weight', { weight: 'mixer.normWeight', shape: groups, isKept: true }],
  ];
}

/** inProj = [q | k | v] by rows, cut; q and k in the order in which llama.cpp rotates pairs. */
function attentionOrigins(
  { nHeads, nKvHeads, headDim, rope }: AttentionConfig,
  dModel: number,
): [string, Origin][] {
  const isMoved = rope?.pairing === 'half';
  const rows = (from: number, heads: number, isRotated: boolean): Origin => ({
    weight: 'mixer.inProj',
    shape: [heads * headDim, dModel],
    make: (data) => {
      const part = data.slice(from * headDim * dModel, (from + heads) * headDim * dModel);
      return isRotated && isMoved ? interleaved(part, headDim, dModel) : part;
    },
  });
  return [
    ['attn_q.weight', rows(0, nHeads, true)],
    ['attn_k.weight', rows(nHeads, nKvHeads, true)],
    ['attn_v.weight', rows(nHeads + nKvHeads, nKvHeads, false)],
    ['attn_output.weight', { weight: 'mixer.outProj' }],
  ];
}

/** Rows of each head from pairs (i, i + headDim/2) to pairs (2i, 2i + 1): q·k stays what it is. */
function interleaved(data: Vector, headDim: number, width: number): Vector {
  const moved = data.slice();
  const half = headDim / 2;
  for (let row = 0; row < data.length / width; row++) {
    const within = row % headDim;
    const to = row - within + (within < half ? 2 * within : 2 * (within - half) + 1);
    moved.set(data.subarray(row * width, (row + 1) * width), to * width);
  }
  return moved;
}
