/** Kernels of training by their number in a step, 60 to 79: recurrences. Compiled by both, TypeScript and AssemblyScript. */

export const FIRST = 60;
