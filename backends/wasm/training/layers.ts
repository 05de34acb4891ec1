/** Embeddings, columns, norms and gates with their gradients. */

import { ConfigError } from '../../../reference/errors.ts';
import type { GatedRmsNormIn, Numbers, TrainingOps, Wanted } from '../../training.ts';
import { strideOf } from '../packing.ts';
import * as abi from './abiLayers.ts';
import { type Buffer, own, type TrainingMemory } from './device.ts';
import { at, optionalRows, rowsOf } from './shapes.ts';

type Layers = Pick<
  TrainingOps,
  'embedding' | 'add' | 'columns' | 'repeatGroups' | 'rmsNorm' | 'gatedRmsNorm' | 'gate'
>;

/** What {@link normGradient} needs of a norm; without z there is no gate. */
type NormIn = Omit<GatedRmsNormIn, 'z'> & { z?: Numbers };

export function layerOps(memory: TrainingMemory): Layers {
  const { threads, workspace } = memory;

  /** y += x, of rows that may be columns of longer ones. */
  function addTo(x: Buffer, y: Buffer, from = { x: 0, y: 0 }, width = x.width): void {
    const [xAt, yAt] = [x.address + 4 * from.x, y.address + 4 * from.y];
    memory.run(abi.ADD_ROWS, yAt, y.stride, xAt, x.stride, width, yAt, y.stride, x.rows);
  }

  /**
   * Sums of blocks of rows that a gradient kernel makes, added to a parameter's gradient after it. Returns where they
   * go, 0 where the gradient is not wanted, and other memory.
   */
  function withSums(
    { rows, width }: Buffer,
    wanted: Buffer | undefined,
    scratch: number,
    run: (sums: [number, number], scratch: number) => void,
  ): void {
    const blocks = wanted ? Math.ceil(rows / abi.GRADIENT_ROWS) : 0;
    const stride = strideOf(width);
    const [sums, other] = workspace.pieces(4 * blocks * stride, scratch);
    run(wanted ? [sums, stride] : [0, 0], other);
    if (wanted) memory.run(abi.COLUMN_SUMS, sums, stride, width, wanted.address, blocks);
  }

  function normForward(who: string, input: NormIn): { y: Buffer } {
    const { x, z, sizes } = normed(who, input);
    const y = memory.output(x.shape);
    memory.run(abi.NORM_ROWS, ...at(x), ...at(z), ...sizes, ...at(y), x.rows);
    return { y };
  }

  function normBackward(
    who: string,
    input: NormIn,
    dyNumbers: Numbers,
    grads: Wanted<GatedRmsNormIn, 'x' | 'z' | 'weight'>,
  ): void {
    const { x, z, sizes } = normed(who, input);
    const { rows, width } = x;
    const dy = rowsOf(`${who}: dy`, dyNumbers, rows, width);
    const dx = optionalRows(`${who}: gradient of x`, grads.x, rows, width);
    const dz = optionalRows(`${who}: gradient of z`, grads.z, rows, width);
    const dWeight = optionalRows(`${who}: gradient of weight`, grads.weight, 1, width);
    // three rows
    const perThread = z ? 3 * 4 * strideOf(width) : 0;
    withSums(x, dWeight, threads * perThread, (sums, scratch) => {
      memory.run(
        ...([abi.NORM_GRADIENT, ...at(x), ...at(z), ...sizes, ...at(dy)] as const),
        ...[...at(dx), ...at(dz), ...sums, scratch, perThread, rows],
      );
    });
  }

  return {
    embedding: {
      forward({ tokens, weight }) {
        const table = own(weight);
        for (const token of tokens) checkToken(token, table.rows);
        const y = memory.output([tokens.length, table.width]);
        const kept = memory.integers(tokens);
        memory.run(abi.TABLE_ROWS, kept, ...at(table), y.address, tokens.length);
        return { y, kept };
      },
      backward({ tokens, weight }, { kept }, dy, grads) {
        if (!grads.weight) return;
        const { rows, width } = own(weight);
        const table = rowsOf('embedding: gradient of weight', grads.weight, rows, width);
        const { address } = rowsOf('embedding: dy', dy, tokens.length, width);
        const { stride } = table;
        memory.run(
          ...([abi.ADD_TO_TABLE, kept as number, address, stride] as const),
          ...[table.address, tokens.length],
        );
      },
    },
    add: {
      forward(input) {
        const a = own(input.a);
        const b = rowsOf('add: b', input.b, a.rows, a.width);
        const y = memory.output(a.shape);
        memory.run(abi.ADD_ROWS, ...at(a), ...at(b), a.width, ...at(y), a.rows);
        return { y };
      },
      backward({ a }, _, dyNumbers, grads) {
        const { rows, width } = own(a);
        const dy = rowsOf('add: dy', dyNumbers, rows, width);
        for (const grad of [grads.a, grads.b]) {
          if (grad) addTo(dy, rowsOf('add: gradients', grad, rows, width));
        }
      },
    },
    columns: {
      forward({ x: numbers, from, width }) {
        const x = own(numbers);
        const y = memory.output([x.rows, width]);
        const place = x.address + 4 * from;
        memory.run(abi.ADD_ROWS, place, x.stride, 0, 0, width, ...at(y), x.rows);
        return { y };
      },
      backward({ x, from, width }, _, dyNumbers, grads) {
        if (!grads.x) return;
        const { rows, width: columns } = own(x);
        const dy = rowsOf('columns: dy', dyNumbers, rows, width);
        addTo(dy, rowsOf('columns: gradient of x', grads.x, rows, columns), { x: 0, y: from });
      },
    },
    repeatGroups: {
      forward({ x: numbers, width, times }) {
        const x = own(numbers);
        const y = memory.output([x.rows, x.width * times]);
        const groups = x.width / width;
        memory.run(abi.REPEAT_GROUPS, ...at(x), groups, width, times, ...at(y), x.rows);
        return { y };
      },
      backward({ x, width, times }, _, dyNumbers, grads) {
        if (!grads.x) return;
        const { rows, width: columns } = own(x);
        const dy = rowsOf('repeatGroups: dy', dyNumbers, rows, columns * times);
        const dx = rowsOf('repeatGroups: gradient of x', grads.x, rows, columns);
        const groups = columns / width;
        memory.run(abi.ADD_GROUPS, ...at(dy), groups, width, times, ...at(dx), rows);
      },
    },
    rmsNorm: {
      forward: (input) => normForward('rmsNorm', plain(input)),
      backward: (input, _, dy, grads) => normBackward('rmsNorm', plain(input), dy, grads),
    },
    gatedRmsNorm: {
      forward: (input) => normForward('gatedRmsNorm', input),
      backward: (input, _, dy, grads) => normBackward('gatedRmsNorm', input, dy, grads),
    },
    gate: {
      forward(input) {
        const x = own(input.x);
        const z = rowsOf('gate: z', input.z, x.rows, x.width);
        const zBias = optionalRows('gate: zBias', input.zBias, 1, x.width);
        const y = memory.output(x.shape);
        memory.run(abi.GATE_ROWS, ...at(x), ...at(z), at(zBias)[0], x.width, ...at(y), x.rows);
        return { y };
      },
      backward(input, _, dyNumbers, grads) {
        const x = own(input.x);
        const { rows, width } = x;
        const dy = rowsOf('gate: dy', dyNumbers, rows, width);
        const dx = optionalRows('gate: gradient of x', grads.x, rows, width);
        const dz = optionalRows('gate: gradient of z', grads.z, rows, width);
        const dBias = optionalRows('gate: gradient of zBias', grads.zBias, 1, width);
        const bias = input.zBias ? own(input.zBias).address : 0;
        withSums(x, dBias, 0, (sums) => {
          memory.run(
            ...([abi.GATE_GRADIENT, ...at(x), ...at(own(input.z)), bias, width] as const),
            ...[...at(dy), ...at(dx), ...at(dz), ...sums, rows],
          );
        });
      },
    },
  };
}

/** An RMS norm of whole rows without a gate. */
function plain({ x, weight, eps }: { x: Numbers; weight: Numbers; eps: number }): NormIn {
  return { x, weight, eps, groupSize: own(x).width, normBeforeGate: false };
}

/** A norm's inputs, and the parameters between those of z and of y or dy. */
function normed(who: string, input: NormIn) {
  const x = own(input.x);
  const { rows, width } = x;
  const z = optionalRows(`${who}: z`, input.z, rows, width);
  const { address } = rowsOf(`${who}: weight`, input.weight, 1, width);
  const { groupSize, eps, normBeforeGate } = input;
  const sizes = [address, width, groupSize, { real: eps }, Number(normBeforeGate)];
  return { x, z, sizes };
}

/** @throws ConfigError with code TokenRange for a token that is no row of the table. */
function checkToken(token: number, rows: number): void {
  if (token >= 0 && token < rows) return;
  throw new ConfigError(
    `token: expected an id in [0, ${rows}), got ${token}; is the tokenizer from the same model?`,
    'TokenRange',
  );
}
