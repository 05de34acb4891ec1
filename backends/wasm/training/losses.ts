/** Losses with their gradients: of logits, hidden states, and matrices of mixers. */

import { ConfigError, ShapeError } from '../../../reference/errors.ts';
import type { KlDivergenceIn, Numbers, TrainingOps } from '../../training.ts';
import * as abi from './abiAttention.ts';
import { sequencesOf } from './attention.ts';
import { type Buffer, own, type TrainingMemory } from './device.ts';
import { rowsOf } from './shapes.ts';

type Losses = Pick<
  TrainingOps,
  'crossEntropy' | 'klDivergence' | 'hiddenDistance' | 'matrixDistance'
>;

/** The target of a row that does not count. */
const IGNORED = -100;
const DIRECTIONS = { forward: abi.KL_FORWARD, reverse: abi.KL_REVERSE, soft: abi.KL_SOFT };

/** What the gradient of a loss of rows needs: addresses, and what the sum of the rows' losses was divided by. */
interface Kept {
  /** Targets or mask; 0 where every row counts. */
  counting: number;
  /** Statistics or distances of each row. */
  rows: number;
  divisor: number;
}

export function lossOps(memory: TrainingMemory): Losses {
  /** Room for float64 losses of rows. */
  const room = (rows: number) => memory.scratch(8 * rows);
  const statistics = (rows: number) => memory.scratch(4 * abi.KEPT_NUMBERS * rows);

  /** Σ losses / divisor. */
  function mean(losses: number, rows: number, divisor: number): Buffer {
    const loss = memory.output([1]);
    memory.run(abi.MEAN, losses, rows, { real: divisor }, loss.address);
    return loss;
  }

  const crossEntropy: TrainingOps['crossEntropy'] = {
    forward({ logits, targets }) {
      const x = own(logits);
      expectLength('crossEntropy', 'targets', targets, x.rows);
      const divisor = expectTargets(targets, x.width);
      const counting = memory.integers(targets);
      const [rows, losses] = [statistics(x.rows), room(x.rows)];
      memory.run(
        ...([abi.CROSS_ENTROPY, x.address, x.stride, x.width, counting, rows, losses] as const),
        x.rows,
      );
      return { loss: mean(losses, x.rows, divisor), kept: { counting, rows, divisor } };
    },
    backward({ logits }, { kept }, weight, grads) {
      if (!grads.logits) return;
      const x = own(logits);
      const { counting, rows, divisor } = kept as Kept;
      const gradient = rowsOf('crossEntropy', grads.logits, x.rows, x.width);
      memory.run(
        ...([abi.CROSS_ENTROPY_GRADIENT, x.address, x.stride, x.width, counting, rows] as const),
        ...[{ real: weight / divisor }, gradient.address, x.rows],
      );
    },
  };

  function teacherOf(input: KlDivergenceIn): [student: Buffer, teacher: Buffer] {
    const x = own(input.logits);
    return [x, rowsOf('klDivergence', input.teacherLogits, x.rows, x.width)];
  }

  const klDivergence: TrainingOps['klDivergence'] = {
    forward(input) {
      const [x, teacher] = teacherOf(input);
      const { mask, divisor } = input;
      expectMask('klDivergence', mask, x.rows);
      if (!(divisor > 0)) {
        throw new ConfigError(`klDivergence: divisor: expected a number > 0, got ${divisor}`);
      }
      const counting = memory.vector(mask);
      const [rows, losses] = [statistics(x.rows), room(x.rows)];
      memory.run(
        ...([abi.KL_DIVERGENCE, DIRECTIONS[input.direction], x.address, teacher.address] as const),
        ...[x.stride, x.width, counting, rows, losses, x.rows],
      );
      return { loss: mean(losses, x.rows, divisor), kept: { counting, rows, divisor } };
    },
    backward(input, { kept }, weight, grads) {
      if (!grads.logits) return;
      const [x, teacher] = teacherOf(input);
      const { counting, rows, divisor } = kept as Kept;
      const gradient = rowsOf('klDivergence', grads.logits, x.rows, x.width);
      memory.run(
        ...([abi.KL_DIVERGENCE_GRADIENT, DIRECTIONS[input.direction], x.address] as const),
        ...[teacher.address, x.stride, x.width, counting, rows, { real: weight / divisor }],
        ...[gradient.address, x.rows],
      );
    },
  };

  /** The mean of the distances of groups of so many rows each; `mask` says which groups count. */
  function distance(
    x: Buffer,
    target: Buffer,
    perGroup: number,
    mask?: Float32Array,
  ): { loss: Buffer; kept: Kept } {
    const groups = x.rows / perGroup;
    const counting = mask ? memory.vector(mask) : 0;
    const divisor = mask ? mask.filter((counts) => counts !== 0).length : groups;
    const rows = room(groups);
    memory.run(
      ...([
        abi.DISTANCE,
        x.address,
        target.address,
        x.stride,
        x.width,
        perGroup,
        counting,
      ] as const),
      ...[rows, groups],
    );
    return { loss: mean(rows, groups, divisor), kept: { counting, rows, divisor } };
  }

  function distanceGradient(
    x: Buffer,
    target: Buffer,
    perGroup: number,
    { counting, rows, divisor }: Kept,
    weight: number,
    gradient: Buffer,
  ): void {
    memory.run(
      ...([abi.DISTANCE_GRADIENT, x.address, target.address, x.stride, x.width, perGroup] as const),
      ...[counting, rows, { real: weight / divisor }, gradient.address, x.rows / perGroup],
    );
  }

  const hiddenDistance: TrainingOps['hiddenDistance'] = {
    forward({ x, target, mask }) {
      const [student, teacher] = likeOf('hiddenDistance', x, target);
      expectMask('hiddenDistance', mask, student.rows);
      return distance(student, teacher, 1, mask);
    },
    backward({ x, target }, { kept }, weight, grads) {
      if (!grads.x) return;
      const [student, teacher] = likeOf('hiddenDistance', x, target);
      const gradient = rowsOf('hiddenDistance', grads.x, student.rows, student.width);
      distanceGradient(student, teacher, 1, kept as Kept, weight, gradient);
    },
  };

  const matrixDistance: TrainingOps['matrixDistance'] = {
    forward({ x, target, seqlen }) {
      const [student, teacher] = likeOf('matrixDistance', x, target);
      sequencesOf('matrixDistance', student.rows, seqlen);
      return distance(student, teacher, seqlen);
    },
    backward({ x, target, seqlen }, { kept }, weight, grads) {
      if (!grads.x) return;
      const [student, teacher] = likeOf('matrixDistance', x, target);
      const gradient = rowsOf('matrixDistance', grads.x, student.rows, student.width);
      distanceGradient(student, teacher, seqlen, kept as Kept, weight, gradient);
    },
  };

  return { crossEntropy, klDivergence, hiddenDistance, matrixDistance };
}

function likeOf(who: string, x: Numbers, target: Numbers): [student: Buffer, teacher: Buffer] {
  const { rows, width } = own(x);
  return [own(x), rowsOf(who, target, rows, width)];
}

function expectLength(who: string, name: string, list: ArrayLike<number>, rows: number): void {
  if (list.length === rows) return;
  throw new ShapeError(`${who}: ${name}: expected length ${rows}, got ${list.length}`);
}

function expectMask(who: string, mask: Float32Array, rows: number): void {
  expectLength(who, 'mask', mask, rows);
  if (mask.every((counts) => counts === 0)) throw nothingCounted(who);
}

/** How many targets count. */
function expectTargets(targets: Int32Array, width: number): number {
  const counting = targets.filter((target) => target !== IGNORED);
  if (counting.length === 0) throw nothingCounted('crossEntropy');
  const wrong = counting.find((target) => target < 0 || target >= width);
  if (wrong === undefined) return counting.length;
  throw new ConfigError(
    `crossEntropy: targets: expected ids in [0, ${width}) or ${IGNORED}, got ${wrong}`,
    'TokenRange',
  );
}

/** The mean of nothing is no number. */
const nothingCounted = (who: string) =>
  new ConfigError(`${who}: expected at least one row that counts, got none`, 'NothingCounted');
