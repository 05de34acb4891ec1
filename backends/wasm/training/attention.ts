/** Attention over whole sequences and rotary positions, with their gradients. */

import { ConfigError, ShapeError } from '../../../reference/errors.ts';
import type { AttentionIn, RopeIn, TrainingOps } from '../../training.ts';
import { strideOf } from '../packing.ts';
import * as abi from './abiAttention.ts';
import { type Buffer, own, type TrainingMemory } from './device.ts';
import { rowsOf } from './shapes.ts';

/** Products of a block of queries with one of keys. */
export const BLOCK_NUMBERS = abi.ATTENTION_BLOCK ** 2;

export function attentionOps(
  memory: TrainingMemory,
): Pick<TrainingOps, 'rope' | 'attention' | 'attentionMatrix'> {
  const { threads, workspace } = memory;
  const tables = new Map<string, Buffer>();

  /** [position][cos of each pair, then sin of each] of at least seqlen positions. */
  function tableOf(frequencies: Float64Array, seqlen: number): Buffer {
    // twice as many whenever there are too few: tables stay, since steps that wait may use them
    const positions = 2 ** Math.ceil(Math.log2(seqlen));
    const key = `${positions}:${frequencies.join()}`;
    const known = tables.get(key);
    if (known) return known;
    const pairs = frequencies.length;
    const table = memory.keep([positions, 2 * pairs], () => {
      const data = new Float32Array(positions * 2 * pairs);
      for (let position = 0, at = 0; position < positions; position++, at += 2 * pairs) {
        frequencies.forEach((frequency, pair) => {
          data[at + pair] = Math.cos(position * frequency);
          data[at + pairs + pair] = Math.sin(position * frequency);
        });
      }
      return data;
    });
    tables.set(key, table);
    return table;
  }

  function rotate(input: RopeIn, from: Buffer, to: Buffer, isGradient: boolean): void {
    const { headDim, frequencies, pairing, seqlen } = input;
    const { rows, width, stride } = from;
    const nHeads = width / headDim;
    if (!Number.isInteger(nHeads) || 2 * frequencies.length > headDim) {
      throw new ShapeError(
        `rope: expected heads of ${headDim} columns and at most ${headDim / 2} frequencies, ` +
          `got ${width} columns and ${frequencies.length}`,
      );
    }
    sequencesOf('rope', rows, seqlen);
    const table = tableOf(frequencies, seqlen);
    memory.run(
      ...([abi.ROPE_ROWS, from.address, to.address, stride, table.address, table.stride] as const),
      ...[nHeads, headDim, frequencies.length, Number(pairing === 'interleaved')],
      ...[Number(isGradient), seqlen, rows],
    );
  }

  const rope: TrainingOps['rope'] = {
    forward(input) {
      const x = own(input.x);
      const y = memory.output(x.shape);
      rotate(input, x, y, false);
      return { y };
    },
    backward(input, _, dy, { x }) {
      const { rows, width } = own(input.x);
      if (!x) return;
      rotate(input, rowsOf('rope', dy, rows, width), rowsOf('rope', x, rows, width), true);
    },
  };

  /** Parameters that both directions share, and the bytes that the kernels need. */
  function attended(input: AttentionIn) {
    const sizes = scoredSizes('attention', input);
    const { q, k, headDim, batch } = sizes;
    const { nHeads, nKvHeads, scale, seqlen } = input;
    const v = rowsOf('attention', input.v, k.rows, k.width);
    const tokens = strideOf(seqlen);
    return {
      ...{ q, k, v },
      strides: [q.stride, k.stride, nHeads, nKvHeads, headDim],
      scale: { real: scale },
      counts: [seqlen, batch],
      tokens,
      headBytes: 4 * tokens * strideOf(headDim),
      keptBytes: 8 * batch * nHeads * tokens,
      rowBytes: 4 * strideOf(headDim),
    };
  }

  const attention: TrainingOps['attention'] = {
    forward(input) {
      const { q, k, v, strides, scale, counts, ...bytes } = attended(input);
      const y = memory.output(q.shape);
      const kept = memory.scratch(bytes.keptBytes);
      const perThread = lines(4 * bytes.headBytes + 32 * bytes.tokens + 8 * bytes.rowBytes);
      const [scratch] = workspace.pieces(threads * perThread);
      const places = [q, k, v, y].map(({ address }) => address);
      memory.run(
        ...([abi.ATTENTION_FORWARD, ...places, ...strides, scale, ...counts] as const),
        ...[kept, scratch, perThread],
      );
      return { y, kept };
    },
    backward(input, output, dyNumbers, grads) {
      const { q, k, v, strides, scale, counts, ...bytes } = attended(input);
      const y = rowsOf('attention', output.y, q.rows, q.width);
      const dy = rowsOf('attention', dyNumbers, q.rows, q.width);
      const wanted = (['q', 'k', 'v'] as const).map((name) => {
        const { rows, width } = name === 'q' ? q : k;
        const grad = grads[name];
        return grad ? rowsOf('attention', grad, rows, width).address : 0;
      });
      const blocks = 3 * 4 * BLOCK_NUMBERS;
      const perThread = lines(10 * bytes.headBytes + 4 * bytes.tokens + blocks);
      const [scratch] = workspace.pieces(threads * perThread);
      const places = [q, k, v, y, dy].map(({ address }) => address);
      memory.run(
        ...([abi.ATTENTION_GRADIENT, ...places, ...strides, scale, ...counts] as const),
        ...[output.kept as number, ...wanted, scratch, perThread],
      );
    },
  };

  const attentionMatrix: TrainingOps['attentionMatrix'] = (input) => {
    const { q, k, headDim, batch } = scoredSizes('attentionMatrix', input);
    const { nHeads, nKvHeads, scale, seqlen } = input;
    const y = memory.output([batch * nHeads * seqlen, seqlen]);
    const perThread = lines(4 * y.stride * (3 * strideOf(headDim) + 4));
    const [scratch] = workspace.pieces(threads * perThread);
    memory.run(
      ...([abi.ATTENTION_MATRIX, q.address, k.address, y.address, q.stride, k.stride] as const),
      ...[nHeads, nKvHeads, headDim, { real: scale }, seqlen, batch, scratch, perThread],
    );
    return y;
  };

  return { rope, attention, attentionMatrix };
}

/** Whole lines of the cache, so that threads do not write into each other's. */
export const lines = (bytes: number) => 64 * Math.ceil(bytes / 64);

/** How many sequences rows are. @throws ShapeError unless they are whole ones. */
export function sequencesOf(who: string, rows: number, seqlen: number): number {
  if (Number.isInteger(seqlen) && seqlen >= 1 && rows % seqlen === 0) return rows / seqlen;
  throw new ShapeError(`${who}: expected sequences of ${seqlen} rows, got ${rows} rows`);
}

function scoredSizes(who: string, input: Omit<AttentionIn, 'v'>) {
  const { nHeads, nKvHeads, seqlen } = input;
  const q = own(input.q);
  const headDim = q.width / nHeads;
  if (!Number.isInteger(headDim) || !Number.isInteger(nHeads / nKvHeads)) {
    throw new ConfigError(
      `${who}: expected nHeads to divide ${q.width} columns and nKvHeads to divide nHeads, ` +
        `got nHeads = ${nHeads}, nKvHeads = ${nKvHeads}`,
    );
  }
  const k = rowsOf(who, input.k, q.rows, nKvHeads * headDim);
  return { q, k, headDim, batch: sequencesOf(who, q.rows, seqlen) };
}
