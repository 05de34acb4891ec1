/**
 * The gradients of the ops, one file each: `opGradient(input, dy)` takes an op's input and the gradient of its
 * output, and returns one of every input that can be learned, of that input's shape. All are computed in
 * double precision and returned as Float64Array, whatever the precision of the input.
 */

export * from './activations.ts';
export * from './attention.ts';
export type { RecurrenceGradientOptions } from './backwardsThroughTime.ts';
export * from './causalConv1d.ts';
export * from './discreteSsd.ts';
export * from './discreteSsdMatrix.ts';
export * from './embedding.ts';
export * from './gate.ts';
export * from './gatedMlp.ts';
export * from './gatedRmsNorm.ts';
export * from './layerNorm.ts';
export * from './linear.ts';
export * from './matrixDistance.ts';
export { type RmsNormGradient, rmsNormGradient } from './rmsNorm.ts';
export * from './rope.ts';
export * from './selectiveScan.ts';
export * from './ssd.ts';
export * from './swigluMlp.ts';
