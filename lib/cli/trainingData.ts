/** What `train` and `distil` learn from, and what they are judged by when it is texts. */

import type { TrainingDevice } from '../../backends/training.ts';
import type { ModelWithWeights } from '../distil/initFromAttention.ts';
import type { Batch, Example } from '../train/batches.ts';
import { crossEntropyOf } from '../train/crossEntropy.ts';
import type { BatchSize } from '../train/estimate.ts';
import { expectExamplesFit, type TaskDataOptions, taskBatches } from '../train/taskData.ts';
import { readTextData, type TextData, type TextReader, textBatches } from '../train/textData.ts';

export interface TrainingData {
  /** The batch of each step, counted from 1. */
  readonly batches: (step: number) => Batch;
  /** Where it is texts. */
  readonly texts?: TextData;
}

/** Problems of tasks. @throws ConfigError with code ExampleLength where seqlen is too short for the first of them. */
export function problemsFor(options: TaskDataOptions, steps: number): TrainingData {
  expectExamplesFit(options, steps);
  return { batches: taskBatches(options) };
}

/** Texts of a file. @throws ConfigError with code DataFile. */
export async function textsFrom(
  path: string,
  reader: TextReader,
  recipe: BatchSize & { seed: number },
): Promise<TrainingData> {
  const texts = await readTextData(path, reader, recipe.seqlen);
  return { batches: textBatches(texts.learned, recipe), texts };
}

/** Nats per token that each model needs for texts that none was shown. */
export function judgeTexts(
  device: TrainingDevice,
  models: readonly ModelWithWeights[],
  { heldOut }: TextData,
  size: BatchSize,
): number[] {
  return models.map((model) => crossEntropyOf(device, model, heldOut, size));
}

/** {@link judgeTexts} of texts that are as long and as many at a time as they can be, for an estimate. */
export function judgingOf(models: readonly ModelWithWeights[]) {
  return (device: TrainingDevice, size: BatchSize): void => {
    const tokens = new Array<number>(size.seqlen + 1).fill(0);
    const heldOut = new Array<Example>(size.batch).fill({ tokens, learnFrom: 1 });
    judgeTexts(device, models, { learned: [], heldOut }, size);
  };
}
