/** Kernels of training by their number in a step, 40 to 59: layers. Compiled by both, TypeScript and AssemblyScript. */

export const FILL = 40;
