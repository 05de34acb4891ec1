/** RMSNorm, LayerNorm and the gated norm: first one number per token (and group), then every element. */

import type { KernelSpec } from './kernel.ts';

export interface NormSizes {
  tokens: number;
  width: number;
  xFrom: number;
  eps: number;
}

/** Argument: x (tokens, …). Returns 1/√(mean(x²) + eps) of each token. Shape (tokens). */
export function inverseRms({ tokens, width, xFrom, eps }: NormSizes): KernelSpec {
  return {
    name: 'inverseRms',
    source: `function (x) {
      let sum = 0;
      for (let i = 0; i < this.constants.width; i++) {
        const v = x[this.thread.x][this.constants.xFrom + i];
        sum += v * v;
      }
      return 1 / Math.sqrt(sum / this.constants.width + this.constants.eps);
    }`,
    output: [tokens],
    constants: { width, xFrom, eps },
  };
}

/** Argument: x (tokens, …). Returns the mean of each token's columns. Shape (tokens). */
export function mean({ tokens, width, xFrom }: NormSizes): KernelSpec {
  return {
    name: 'mean',
    source: `function (x) {
      let sum = 0;
      for (let i = 0; i < this.constants.width; i++) {
        sum += x[this.thread.x][this.constants.xFrom + i];
      }
      return sum / this.constants.width;
    }`,
    output: [tokens],
    constants: { width, xFrom },
  };
}

/** Arguments: x (tokens, …), mean (tokens). Returns 1/√(variance + eps) of each token. Shape (tokens). */
export function inverseDeviation({ tokens, width, xFrom, eps }: NormSizes): KernelSpec {
  return {
    name: 'inverseDeviation',
    source: `function (x, mean) {
      let sum = 0;
      for (let i = 0; i < this.constants.width; i++) {
        const v = x[this.thread.x][this.constants.xFrom + i] - mean[this.thread.x];
        sum += v * v;
      }
      return 1 / Math.sqrt(sum / this.constants.width + this.constants.eps);
    }`,
    output: [tokens],
    constants: { width, xFrom, eps },
  };
}

/**
 * Arguments: x (tokens, …), scale (tokens), weight (width), then mean (tokens) and bias (width) where there
 * are any. Returns (x − mean)·scale·weight + bias. Shape (tokens, width).
 */
export function scaled(
  { tokens, width, xFrom }: NormSizes,
  { hasMean, hasBias }: { hasMean: boolean; hasBias: boolean },
): KernelSpec {
  const args = ['x', 'scale', 'weight', ...(hasMean ? ['mean'] : []), ...(hasBias ? ['bias'] : [])];
  return {
    name: 'scaled',
    source: `function (${args}) {
      const v = x[this.thread.y][this.constants.xFrom + this.thread.x]${
        hasMean ? ' - mean[this.thread.y]' : ''
      };
      return v * scale[this.thread.y] * weight[this.thread.x]${hasBias ? ' + bias[this.thread.x]' : ''};
    }`,
    output: [width, tokens],
    constants: { xFrom },
  };
}

export interface GatedNormSizes {
  tokens: number;
  width: number;
  xFrom: number;
  zFrom: number;
  eps: number;
  groupSize: number;
  normBeforeGate: boolean;
}

/** Argument: x (tokens, width). Returns 1/√(mean(x²) + eps) of each group. Shape (tokens, groups). */
export function groupInverseRms(sizes: GatedNormSizes): KernelSpec {
  const { tokens, width, xFrom, eps, groupSize } = sizes;
  return {
    name: 'groupInverseRms',
    source: `function (x) {
      let sum = 0;
      for (let i = 0; i < this.constants.groupSize; i++) {
        const v = x[this.thread.y][this.constants.xFrom + this.thread.x * this.constants.groupSize + i];
        sum += v * v;
      }
      return 1 / Math.sqrt(sum / this.constants.groupSize + this.constants.eps);
    }`,
    output: [width / groupSize, tokens],
    constants: { groupSize, xFrom, eps },
  };
}

/**
 * Arguments: x (tokens, …), scale (tokens, groups), weight (width), then z (tokens, …) if the gate comes after
 * the norm, and bias (width) where there are any. Returns (tokens, width). See reference/gatedRmsNorm.ts.
 */
export function groupScaled(
  { tokens, width, xFrom, zFrom, groupSize }: GatedNormSizes,
  { hasZ, hasBias }: { hasZ: boolean; hasBias: boolean },
): KernelSpec {
  const args = ['x', 'scale', 'weight', ...(hasZ ? ['z'] : []), ...(hasBias ? ['bias'] : [])];
  return {
    name: 'groupScaled',
    source: `function (${args}) {
      const group = Math.floor((this.thread.x + 0.5) / this.constants.groupSize);
      const v = x[this.thread.y][this.constants.xFrom + this.thread.x];
      const y = v * scale[this.thread.y][group] * weight[this.thread.x]${
        hasBias ? ' + bias[this.thread.x]' : ''
      };
      ${
        hasZ
          ? `const gate = z[this.thread.y][this.constants.zFrom + this.thread.x];
      return y * (gate / (1 + Math.exp(-gate)));`
          : 'return y;'
      }
    }`,
    output: [width, tokens],
    constants: { groupSize, xFrom, ...(hasZ && { zFrom }) },
  };
}
