/** Kernels of training by their number in a step, 60 to 79: recurrences. Compiled by both, TypeScript and AssemblyScript. */

export const CONVOLUTION = 60;
export const CONVOLUTION_GRADIENT = 61;
export const SCAN_RATES = 62;
export const SCAN = 63;
export const SCAN_GRADIENT = 64;
export const SCAN_RATES_GRADIENT = 65;
export const HEAD_DECAYS = 66;
export const HEADS_OF_SEQUENCES = 67;
export const HEADS_GRADIENT = 68;
export const HEAD_DECAYS_GRADIENT = 69;
export const ADD_UP = 70;
