/** Shapes that benches run at: those of a small published model, and a large batch of it. */

/** Mamba-130M and Mamba-2-130M: dModel 768, expand 2. */
export const MAMBA_130M = {
  dInner: 1536,
  dState: 16,
  nHeads: 24,
  headDim: 64,
  dStateOfMamba2: 128,
};

export const BATCHES = [1, 8, 64];
