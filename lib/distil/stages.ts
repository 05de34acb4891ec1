/** What a student learns from its teacher, stage by stage: MOHAWK's three, MambaInLlama's divergence, and plain training. */

import type { Numbers, TrainingDevice } from '../../backends/training.ts';
import { ConfigError, UnsupportedError } from '../../reference/errors.ts';
import { type Batch, maskOf } from '../train/batches.ts';
import { headOnTape, layerOnTape, modelOnTape } from '../train/graph.ts';
import type { Objective } from '../train/loop.ts';
import type { Inside } from '../train/mixers.ts';
import { type Tape, Variable } from '../train/tape.ts';
import type { ModelWithWeights } from './initFromAttention.ts';

export const STAGES = ['matrices', 'hidden', 'forward', 'reverse', 'soft', 'sft'] as const;
/**
 * `matrices`   each converted layer's matrix of mixing against its teacher's attention (MOHAWK 1)
 * `hidden`     each layer's output against its teacher's, from the teacher's input (MOHAWK 2)
 * `soft`       cross-entropy to the teacher's probabilities (MOHAWK 3)
 * `forward`    KL(teacher‖student), `reverse` KL(student‖teacher) (MambaInLlama, M1)
 * `sft`        cross-entropy to the right tokens
 */
export type StageName = (typeof STAGES)[number];

export interface StageInput {
  device: TrainingDevice;
  teacher: ModelWithWeights;
  student: ModelWithWeights;
  batch: (step: number) => Batch;
}

/** A stage's losses, which weights it trains, and how to give the teacher's memory back. @throws ConfigError for a stage that there is not. */
export function stageOf(
  name: StageName,
  input: StageInput,
): { objective: Objective; isTrained: (weight: string) => boolean; free: () => void } {
  if (!STAGES.includes(name)) {
    throw new ConfigError(`stage: expected one of ${STAGES.join(', ')}, got ${name}`);
  }
  const { student } = input;
  if (name === 'sft') {
    return { objective: plain(student, input.batch), isTrained: () => true, free: () => {} };
  }
  const teacher = onDevice(input);
  const free = () => {
    for (const { value } of teacher.values()) input.device.free(value);
  };
  if (name === 'matrices' || name === 'hidden') {
    const converted = convertedLayers(input);
    const parts = name === 'matrices' ? 'mixer\\.' : '';
    const isTrained = (weight: string) =>
      converted.some((layer) => new RegExp(`^layers\\.${layer}\\.${parts}`).test(weight));
    const objective =
      name === 'matrices' ? matrices(input, teacher, converted) : hidden(input, teacher, converted);
    return { objective, isTrained, free };
  }
  return { objective: divergence(name, input, teacher), isTrained: () => true, free };
}

/** Cross-entropy to the batch's targets: how a teacher is trained, and a student at the end. */
export function plain(
  { config }: Pick<ModelWithWeights, 'config'>,
  batch: (step: number) => Batch,
): Objective {
  return ({ tape, parameters, step }) => {
    const { tokens, targets, seqlen } = batch(step);
    const logits = modelOnTape({ tape, config, parameters, tokens, seqlen });
    return { loss: tape.loss('crossEntropy', { logits, targets }), tokens: tokens.length };
  };
}

/** The teacher's weights, which stay as they are. */
function onDevice({ device, teacher }: StageInput): ReadonlyMap<string, Variable> {
  return new Map(
    [...teacher.weights].map(([name, { shape, data }]) => [
      name,
      new Variable(device.keep(shape, data), false),
    ]),
  );
}

/** Layers whose mixer is not the teacher's. */
function convertedLayers({ teacher, student }: StageInput): number[] {
  const layers = student.config.layers.map(({ mixer }, i) => (mixer.kind === 'attention' ? -1 : i));
  const converted = layers.filter((i) => i >= 0);
  if (converted.length === 0 || teacher.config.layers.length !== student.config.layers.length) {
    throw new ConfigError(
      'stage: expected a student with as many layers as its teacher, some of them converted',
    );
  }
  return converted;
}

/** The stream before and behind each of the teacher's layers, and what its attentions work on. */
function teacherStreams(
  { teacher: { config } }: StageInput,
  tape: Tape,
  parameters: ReadonlyMap<string, Variable>,
  { tokens, seqlen }: Batch,
): { streams: Variable[]; insides: Inside[] } {
  const insides: Inside[] = [];
  const weight = parameters.get('embedding') as Variable;
  const streams = [tape.apply('embedding', { tokens, weight })];
  config.layers.forEach((layer, i) => {
    const onInside = (index: number, inside: Inside) => {
      insides[index] = inside;
    };
    streams.push(layerOnTape({ tape, parameters, seqlen, onInside }, layer, i, streams[i]));
  });
  return { streams, insides };
}

function matrices(
  input: StageInput,
  teacher: ReadonlyMap<string, Variable>,
  converted: readonly number[],
): Objective {
  return ({ tape, parameters, step }) => {
    const batch = input.batch(step);
    const { seqlen } = batch;
    const { streams, insides } = teacherStreams(input, tape, teacher, batch);
    const losses: Numbers[] = [];
    for (const i of converted) {
      let own: Inside | undefined;
      const onInside = (_: number, inside: Inside) => {
        own = inside;
      };
      const layer = input.student.config.layers[i];
      layerOnTape({ tape, parameters, seqlen, onInside }, layer, i, streams[i]);
      losses.push(matrixLoss(tape, own, insides[i], seqlen));
    }
    return { loss: total(tape, losses), tokens: batch.tokens.length };
  };
}

/** How far a layer's matrix is from its teacher's attention. */
function matrixLoss(tape: Tape, own: Inside | undefined, target: Inside, seqlen: number): Numbers {
  if (own?.kind !== 'discrete' || target.kind !== 'attention') {
    throw new UnsupportedError(
      'stage matrices: expected a Llamba student of an attention; leave this stage out for other students',
    );
  }
  const { kind: _kind, ...parts } = own;
  const x = tape.apply('mixerMatrix', { ...parts, seqlen });
  const { q, k, kind: _other, ...heads } = target;
  const { ops } = tape.device;
  const attention = ops.attentionMatrix({ q: q.value, k: k.value, ...heads, seqlen });
  return tape.loss('matrixDistance', { x, target: tape.constant(attention), seqlen });
}

function hidden(
  input: StageInput,
  teacher: ReadonlyMap<string, Variable>,
  converted: readonly number[],
): Objective {
  return ({ tape, parameters, step }) => {
    const batch = input.batch(step);
    const { seqlen, tokens } = batch;
    const { streams } = teacherStreams(input, tape, teacher, batch);
    // every token of a sequence, prompts as well; behind its end there is nothing to align
    const mask = tokensThatCount(batch);
    const losses = converted.map((i) => {
      const layer = input.student.config.layers[i];
      const x = layerOnTape({ tape, parameters, seqlen }, layer, i, streams[i]);
      return tape.loss('hiddenDistance', { x, target: streams[i + 1], mask });
    });
    return { loss: total(tape, losses), tokens: tokens.length };
  };
}

function divergence(
  direction: 'forward' | 'reverse' | 'soft',
  input: StageInput,
  teacher: ReadonlyMap<string, Variable>,
): Objective {
  return ({ tape, parameters, step }) => {
    const batch = input.batch(step);
    const { tokens, seqlen } = batch;
    const { config } = input.teacher;
    const { streams } = teacherStreams(input, tape, teacher, batch);
    const last = streams[streams.length - 1];
    const teacherLogits = headOnTape({ tape, config, parameters: teacher }, last);
    const own = { tape, config: input.student.config, parameters, tokens, seqlen };
    const logits = modelOnTape(own);
    const mask = maskOf(batch);
    const divisor = mask.reduce((sum, one) => sum + one, 0);
    const loss = tape.loss('klDivergence', { logits, teacherLogits, mask, direction, divisor });
    return { loss, tokens: tokens.length };
  };
}

/** 1 up to the last token of each row that has a target. */
function tokensThatCount(batch: Batch): Float32Array {
  const { seqlen } = batch;
  const counts = maskOf(batch);
  for (let row = 0; row < counts.length; row += seqlen) {
    const last = counts.subarray(row, row + seqlen).lastIndexOf(1);
    counts.fill(1, row, row + last + 1);
  }
  return counts;
}

/** The sum of some losses, to be shown. */
function total({ device }: Tape, losses: readonly Numbers[]): Numbers {
  let sum = losses[0];
  for (const loss of losses.slice(1)) sum = device.ops.add.forward({ a: sum, b: loss }).y;
  return sum;
}
