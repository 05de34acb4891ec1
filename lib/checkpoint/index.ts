/**
 * Reading checkpoints that nobody vouches for: safetensors, their index, config.json; and writing tensors and
 * whole models.
 */

export { type ModelDescription, readDescription } from './config.ts';
export { type CheckpointCode, CheckpointError } from './errors.ts';
export {
  type BlobFiles,
  type BlobLike,
  type ByteSource,
  filesFromBlobs,
  type ModelFiles,
  type OutputFile,
  sourceFromBytes,
} from './files.ts';
export type { GgufDtype, GgufValue } from './gguf.ts';
export { GgufFile } from './ggufFile.ts';
export type { GgufHeader } from './ggufHeader.ts';
export type { GgufTexts, WeightSource } from './ggufModel.ts';
export { type WriteGgufOptions, writeGguf } from './ggufWriter.ts';
export {
  type ModelToWrite,
  modelFiles,
  type WriteModelOptions,
  writeModelFolder,
} from './modelWriter.ts';
export type { SafetensorsHeader, TensorEntry } from './safetensors.ts';
export { TensorSet } from './shards.ts';
export {
  encodeSafetensors,
  TensorFile,
  type TensorReader,
  type WritableTensor,
} from './tensorFile.ts';
export { type LoadProgress, type LoadWeightsOptions, loadWeights } from './weights.ts';
