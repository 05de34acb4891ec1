/** Kernels of training by their number in a step, 80 to 99: attention. Compiled by both, TypeScript and AssemblyScript. */

export const ROPE_ROWS = 80;
export const ATTENTION_FORWARD = 81;
export const ATTENTION_GRADIENT = 82;
export const ATTENTION_MATRIX = 83;
export const MIXER_MATRIX = 84;
export const MIXER_MATRIX_GRADIENT = 85;
export const CROSS_ENTROPY = 86;
export const CROSS_ENTROPY_GRADIENT = 87;
export const KL_DIVERGENCE = 88;
export const KL_DIVERGENCE_GRADIENT = 89;
export const DISTANCE = 90;
export const DISTANCE_GRADIENT = 91;
export const MEAN = 92;

/** Queries, and keys, of a block of the gradients: their products stay in the first cache. */
export const ATTENTION_BLOCK = 32;

/** Directions of KL_DIVERGENCE. */
export const KL_FORWARD = 0;
export const KL_REVERSE = 1;
export const KL_SOFT = 2;

/** Float32 numbers that CROSS_ENTROPY and KL_DIVERGENCE keep of a row of logits. */
export const KEPT_LARGEST = 0; // of the student
export const KEPT_SHARE = 1; // 1/Σ e^(logit − largest)
export const KEPT_TEACHER_LARGEST = 2;
export const KEPT_TEACHER_SHARE = 3;
export const KEPT_OFFSET = 4; // ln p_teacher − ln p_student is their logits' difference plus this
export const KEPT_DIVERGENCE = 5; // the row's loss
export const KEPT_NUMBERS = 8;
