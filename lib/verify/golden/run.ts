/** Runs golden cases, of ops and of models, on a backend and returns what is to be written. */

import type { RunOp } from '../../../backends/types.ts';
import { UnsupportedError } from '../../../reference/errors.ts';
import { createModel } from '../../../reference/model.ts';
import type { Precision, Tensor } from '../../../reference/tensor.ts';
import { readDescription } from '../../checkpoint/config.ts';
import type { ModelFiles } from '../../checkpoint/files.ts';
import { TensorSet } from '../../checkpoint/shards.ts';
import type { TensorFile, WritableTensor } from '../../checkpoint/tensorFile.ts';
import { loadWeights } from '../../checkpoint/weights.ts';
import { runOnReference } from '../../referenceOps.ts';
import { ADAPTERS } from './adapters.ts';
import { GoldenCase, type Outputs } from './case.ts';
import { runModelCase } from './modelCase.ts';

export { runOnReference } from '../../referenceOps.ts';

export interface RunCaseOptions {
  /** Folder of the case file, for a model case's checkpoint. */
  files: ModelFiles;
  /** Default float64. */
  precision?: Precision;
  /** Where ops run. Default: the reference. */
  run?: RunOp;
}

/**
 * Runs one case and returns its outputs as tensors named `out.*`.
 * @throws UnsupportedError for an op that nobody here has; any error that the case itself causes.
 */
export async function runCase(
  file: TensorFile,
  { files, precision = 'float64', run = runOnReference }: RunCaseOptions,
): Promise<Map<string, WritableTensor>> {
  const goldenCase = await GoldenCase.read(file, precision);
  if (goldenCase.op === undefined) {
    const tensors = await TensorSet.open(files);
    try {
      const description = await readDescription(files, tensors.names());
      const weights = await loadWeights(tensors, description, { precision });
      const model = createModel(description.config, weights, precision);
      return toWritable(runModelCase(goldenCase, model, description.scheme));
    } finally {
      await tensors.close();
    }
  }
  const adapter = ADAPTERS.get(goldenCase.op);
  if (!adapter) {
    throw new UnsupportedError(`op "${goldenCase.op}" is not declared by this backend`);
  }
  return toWritable(await adapter(goldenCase, run));
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
