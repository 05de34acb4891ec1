/** Rows of the embedding by token id. */

import type { KernelSpec } from './kernel.ts';

/**
 * Arguments: tokens (tokens) as floats, w (dModel, vocabRows): the embedding as `linear` wants it for a tied
 * head, so that one copy serves both. Returns (tokens, dModel). See reference/embedding.ts.
 */
export function embedding({ tokens, dModel }: { tokens: number; dModel: number }): KernelSpec {
  return {
    name: 'embedding',
    source: `function (tokens, w) {
      return w[this.thread.x][tokens[this.thread.y]];
    }`,
    output: [dModel, tokens],
    constants: {},
  };
}
