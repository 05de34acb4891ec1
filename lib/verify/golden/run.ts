/** Runs golden cases, of ops and of models, on a backend and returns what is to be written. */

import type { Executor, RunOp } from '../../../backends/types.ts';
import { UnsupportedError } from '../../../reference/errors.ts';
import { createModel, type Model } from '../../../reference/model.ts';
import type { Precision, Tensor } from '../../../reference/tensor.ts';
import { readDescription } from '../../checkpoint/config.ts';
import type { ModelFiles } from '../../checkpoint/files.ts';
import { TensorSet } from '../../checkpoint/shards.ts';
import type { TensorFile, WritableTensor } from '../../checkpoint/tensorFile.ts';
import { loadWeights } from '../../checkpoint/weights.ts';
import { runOnReference } from '../../referenceOps.ts';
import { ADAPTERS, REFERENCE_ONLY } from './adapters.ts';
import { GoldenCase, type Outputs } from './case.ts';
import { decodeModelCase, runModelCase } from './modelCase.ts';

export { runOnReference } from '../../referenceOps.ts';

export interface RunCaseOptions {
  /** Folder of the case file, for a model case's checkpoint. */
  files: ModelFiles;
  /** Of the reference. Default float64. */
  precision?: Precision;
  /** Where ops run and models are decoded instead of on the reference. */
  backend?: { run: RunOp; open(model: Model): Promise<Executor> };
}

/**
 * Runs one case and returns its outputs as tensors named `out.*`: float64 from the reference, float32 from
 * other backends, which owe of a model its logits and greedy tokens only.
 * @throws UnsupportedError for an op that nobody here has; any error that the case itself causes.
 */
export async function runCase(
  file: TensorFile,
  { files, precision = 'float64', backend }: RunCaseOptions,
): Promise<Map<string, WritableTensor>> {
  const goldenCase = await GoldenCase.read(file, backend ? 'float32' : precision);
  if (goldenCase.op === undefined) {
    const tensors = await TensorSet.open(files);
    try {
      const description = await readDescription(files, tensors.names());
      const weights = await loadWeights(tensors, description, { precision });
      const model = createModel(description.config, weights, precision);
      if (!backend) return toWritable(runModelCase(goldenCase, model, description.scheme));
      const executor = await backend.open(model);
      try {
        return toWritable(await decodeModelCase(goldenCase, executor));
      } finally {
        await executor.close();
      }
    } finally {
      await tensors.close();
    }
  }
  const adapter = ADAPTERS.get(goldenCase.op);
  if (!adapter || (backend && REFERENCE_ONLY.has(goldenCase.op))) {
    throw new UnsupportedError(`op "${goldenCase.op}" is not declared by this backend`);
  }
  return toWritable(await adapter(goldenCase, backend?.run ?? runOnReference));
}

function toWritable(outputs: Outputs): Map<string, WritableTensor> {
  return new Map(
    Object.entries(outputs).map(([name, value]): [string, WritableTensor] => {
      if (!('integers' in value)) return [`out.${name}`, value as Tensor];
      const { data, shape } = value.integers;
      return [`out.${name}`, { data: BigInt64Array.from(data, BigInt), shape }];
    }),
  );
}
