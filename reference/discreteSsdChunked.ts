/** Discrete Mamba-2 in its dual form: attention inside chunks, a carried state between them. */

import { logSigmoid, mapElements } from './activations.ts';
import { checkDiscreteSsd, type DiscreteSsdInput, type DiscreteSsdOutput } from './discreteSsd.ts';
import { type SemiseparableInput, semiseparableChunked } from './semiseparable.ts';
import { skipAndGateHeads } from './ssdChunked.ts';

export interface DiscreteSsdChunkedInput extends DiscreteSsdInput {
  /** Tokens per chunk, ≥ 1; the last chunk may be shorter. Published models use 128. */
  chunkLen: number;
}

/**
 * The same y and h as discreteSsd, by semiseparableChunked with the log decay ln σ(−a).
 * @throws ShapeError when the inputs' shapes do not fit; ConfigError when chunkLen is not a whole number ≥ 1.
 */
export function discreteSsdChunked(input: DiscreteSsdChunkedInput): DiscreteSsdOutput {
  const { chunkLen } = input;
  const { y, h } = semiseparableChunked({ ...withLogDecay('discreteSsdChunked', input), chunkLen });
  return { y: skipAndGateHeads(y, input.x, input.D), h };
}

/** The inputs of Discrete Mamba-2 in the terms of the shared forms. */
export function withLogDecay(op: string, input: DiscreteSsdInput): SemiseparableInput {
  checkDiscreteSsd(op, input);
  const { x, a, B, C, h } = input;
  const logDecay = { data: mapElements(a.data, (v, fl) => logSigmoid(-v, fl)), shape: a.shape };
  return { x, logDecay, B, C, h };
}
