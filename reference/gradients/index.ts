/** Gradients of the ops, beside them and under their names: from dy, every ∂L/∂input, in Float64. */

export type { RecurrenceGradientOptions } from './backwardsThroughTime.ts';
export * from './causalConv1d.ts';
export * from './discreteSsd.ts';
export * from './discreteSsdMatrix.ts';
export * from './matrixDistance.ts';
export * from './selectiveScan.ts';
export * from './ssd.ts';
