/** Kernels of training by their number in a step, 80 to 99: attention. Compiled by both, TypeScript and AssemblyScript. */

export const FIRST = 80;
