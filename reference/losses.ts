/**
 * What training minimises, each with its gradient: cross-entropy, the divergence of a student from its
 * teacher, the distance of hidden states. All in double precision, whatever the precision of the input.
 */

import { logSoftmax } from './activations.ts';
import { exp } from './elementary.ts';
import { ConfigError, ShapeError } from './errors.ts';
import { IGNORED_LABEL } from './labels.ts';
import { mainInput, type Tensor, type Vector } from './tensor.ts';

/** A loss and how it changes with what the student computed. NaN in a row that counts makes the loss NaN. */
export interface Loss {
  loss: number;
  /** Of the student's logits or hidden states, of their shape; zero in rows that do not count. */
  gradient: Tensor;
}

export interface CrossEntropyInput {
  /** Shape (rows, vocabSize). */
  logits: Tensor;
  /** The right token of each row, or `ignored`: see nextTargets. Length rows. */
  targets: readonly number[];
  /** Rows with this target do not count, and are not read. Default −100. */
  ignored?: number;
}

/**
 *   loss = mean over rows that count of −ln p[target],   dlogits[v] = (p[v] − [v = target]) / counted
 *
 * with p = softmax(logits) of the row.
 * @throws ConfigError with code TokenRange for a target outside the vocabulary, NothingCounted without a row to count.
 * @throws ShapeError when the shapes do not fit.
 */
export function crossEntropy({
  logits,
  targets,
  ignored = IGNORED_LABEL,
}: CrossEntropyInput): Loss {
  const [rows, vocabSize] = mainInput('crossEntropy', 'logits', logits, [
    'rows',
    'vocabSize',
  ]).sizes;
  expectLength('crossEntropy', 'targets', targets, rows);
  const counted = expectSome(
    'crossEntropy',
    targets.filter((target) => target !== ignored),
  );

  const logP = logProbabilities(logits);
  const gradient = new Float64Array(rows * vocabSize);
  let sum = 0;
  for (let r = 0; r < rows; r++) {
    const target = targets[r];
    if (target === ignored) continue;
    if (!Number.isInteger(target) || target < 0 || target >= vocabSize) {
      throw new ConfigError(
        `crossEntropy: targets: expected ids in [0, ${vocabSize}) or ${ignored}, got ${target}`,
        'TokenRange',
      );
    }
    const start = r * vocabSize;
    sum -= logP[start + target];
    for (let v = 0; v < vocabSize; v++) {
      gradient[start + v] = (exp(logP[start + v]) - (v === target ? 1 : 0)) / counted;
    }
  }
  return { loss: sum / counted, gradient: { data: gradient, shape: logits.shape } };
}

export interface KlDivergenceInput {
  /** The student's. Shape (batch, seqlen, vocabSize). */
  logits: Tensor;
  /** Shape (batch, seqlen, vocabSize). */
  teacherLogits: Tensor;
  /** Which places count: see labelMask. The others are not read. Length batch·seqlen. Default all. */
  mask?: readonly boolean[];
  /**
   * `forward` is KL(teacher‖student): the student must cover all that the teacher does. `reverse` is
   * KL(student‖teacher): it must avoid what the teacher does not do. `soft` is the cross-entropy to the
   * teacher's probabilities: forward without the teacher's entropy, which no student can change.
   */
  direction: 'forward' | 'reverse' | 'soft';
  /** Divides the student's logits, > 0. Default 1. The gradient is not multiplied by its square. */
  temperature?: number;
  /** Divides the teacher's. Default `temperature`; MOHAWK's last stage has 1 here whatever the student's is. */
  teacherTemperature?: number;
  /**
   * What the sum over places is divided by: `tokens`, the number of places that count, or `batch`, the number of
   * sequences, as MambaInLlama's trainer does (without a mask): there, longer sequences weigh more. Default `tokens`.
   */
  reduction?: 'tokens' | 'batch';
}

/**
 * With s = ln softmax(logits/τ) of the student and t = ln softmax(teacherLogits/τ_T), at each place:
 *
 *   forward: Σ e^t·(t − s)    gradient (e^s − e^t)/τ
 *   soft:   −Σ e^t·s          gradient (e^s − e^t)/τ
 *   reverse: Σ e^s·(s − t)    gradient e^s·(s − t − loss)/τ
 *
 * summed over the places that count and divided as `reduction` says. What one side excludes (a logit of −∞)
 * adds nothing to its own mean; where the other excludes it the loss is infinite.
 * @throws ConfigError for an unknown choice or a temperature that is not positive, with code NothingCounted without a place to count.
 * @throws ShapeError when the shapes do not fit.
 */
export function klDivergence(input: KlDivergenceInput): Loss {
  const { logits, teacherLogits, mask, direction, temperature = 1, reduction = 'tokens' } = input;
  const { teacherTemperature = temperature } = input;
  expectOneOf('direction', direction, ['forward', 'reverse', 'soft']);
  expectOneOf('reduction', reduction, ['tokens', 'batch']);
  const axes = ['batch', 'seqlen', 'vocabSize'];
  const { sizes, check } = mainInput('klDivergence', 'logits', logits, axes);
  const [batch, seqlen, vocabSize] = sizes;
  check('teacherLogits', teacherLogits, { batch, seqlen, vocabSize });
  if (mask) expectLength('klDivergence', 'mask', mask, batch * seqlen);
  expectTemperature('temperature', temperature);
  expectTemperature('teacherTemperature', teacherTemperature);
  const places = Array.from({ length: batch * seqlen }, (_, place) => place);
  const counting = places.filter((place) => !mask || mask[place]);
  const counted = expectSome('klDivergence', counting);

  const s = logProbabilities(logits, temperature);
  const t = logProbabilities(teacherLogits, teacherTemperature);
  const gradient = new Float64Array(s.length);
  const divisor = reduction === 'batch' ? batch : counted;
  const divergence = direction === 'reverse' ? reverseAt : forwardAt;
  let sum = 0;
  for (const place of counting) {
    const start = place * vocabSize;
    sum += divergence(gradient, s, t, start, vocabSize);
    if (direction === 'soft') sum += entropyAt(t, start, vocabSize);
    for (let v = start; v < start + vocabSize; v++) gradient[v] /= temperature * divisor;
  }
  return { loss: sum / divisor, gradient: { data: gradient, shape: logits.shape } };
}

/** KL(teacher‖student) of one place; writes its gradient by s before the softmax. */
function forwardAt(gradient: Vector, s: Vector, t: Vector, start: number, size: number): number {
  let sum = 0;
  for (let v = start; v < start + size; v++) {
    const p = exp(t[v]);
    if (p !== 0) sum += p * (t[v] - s[v]); // 0·ln 0 is 0; NaN is not 0
    gradient[v] = exp(s[v]) - p;
  }
  return sum;
}

/** KL(student‖teacher) of one place; writes its gradient by s before the softmax. */
function reverseAt(gradient: Vector, s: Vector, t: Vector, start: number, size: number): number {
  let sum = 0;
  for (let v = start; v < start + size; v++) {
    const p = exp(s[v]);
    if (p !== 0) sum += p * (s[v] - t[v]);
  }
  for (let v = start; v < start + size; v++) {
    const p = exp(s[v]);
    gradient[v] = p * ((p !== 0 ? s[v] - t[v] : 0) - sum); // 0·NaN stays NaN
  }
  return sum;
}

/** −Σ e^t·t of one place. */
function entropyAt(t: Vector, start: number, size: number): number {
  let sum = 0;
  for (let v = start; v < start + size; v++) {
    const p = exp(t[v]);
    if (p !== 0) sum -= p * t[v];
  }
  return sum;
}

/**
 * ln softmax(logits/temperature) over the last axis. The largest logit of a row comes off first: with it, the
 * logarithms would be rounded to units of that logit, however small they are.
 */
function logProbabilities(logits: Tensor, temperature = 1): Vector {
  const data = new Float64Array(logits.data.length);
  const width = logits.shape.at(-1) ?? 1;
  for (let start = 0; start < data.length; start += width) {
    let max = Number.NEGATIVE_INFINITY;
    for (const x of logits.data.subarray(start, start + width)) {
      if (x > max || Number.isNaN(x)) max = x;
    }
    for (let v = start; v < start + width; v++) data[v] = (logits.data[v] - max) / temperature;
  }
  return logSoftmax({ data, shape: logits.shape }).data;
}

export interface HiddenDistanceInput {
  /** The student's hidden states. Shape (rows, width). */
  x: Tensor;
  /** The teacher's. Shape (rows, width). */
  target: Tensor;
}

/**
 *   loss = mean over rows of ‖x − target‖₂, not squared,   dx = (x − target) / (‖x − target‖₂·rows)
 *
 * The gradient of a row without distance, which has no direction, is zero (MOHAWK's second stage, Bick et al.
 * 2024, arXiv 2408.10189).
 * @throws ConfigError with code NothingCounted without a row, ShapeError when the shapes do not fit.
 */
export function hiddenDistance({ x, target }: HiddenDistanceInput): Loss {
  const { sizes, check } = mainInput('hiddenDistance', 'x', x, ['rows', 'width']);
  const [rows, width] = sizes;
  check('target', target, { rows, width });
  if (rows === 0) expectSome('hiddenDistance', []);

  const gradient = new Float64Array(rows * width);
  let sum = 0;
  for (let start = 0; start < rows * width; start += width) {
    let squares = 0;
    for (let i = start; i < start + width; i++) {
      gradient[i] = x.data[i] - target.data[i];
      squares += gradient[i] * gradient[i];
    }
    const distance = Math.sqrt(squares);
    sum += distance;
    const divisor = distance === 0 ? Number.POSITIVE_INFINITY : distance * rows;
    for (let i = start; i < start + width; i++) gradient[i] /= divisor;
  }
  return { loss: sum / rows, gradient: { data: gradient, shape: x.shape } };
}

function expectLength(op: string, name: string, list: readonly unknown[], length: number): void {
  if (list.length !== length) {
    throw new ShapeError(`${op}: ${name}: expected length ${length}, got ${list.length}`);
  }
}

/** The number of what counts: the mean of nothing is no number. */
function expectSome(op: string, counting: readonly unknown[]): number {
  if (counting.length > 0) return counting.length;
  throw new ConfigError(`${op}: expected at least one row that counts, got none`, 'NothingCounted');
}

function expectOneOf(name: string, choice: string, known: readonly string[]): void {
  if (known.includes(choice)) return;
  throw new ConfigError(
    `klDivergence: ${name}: expected one of ${known.join(', ')}, got ${choice}`,
  );
}

function expectTemperature(name: string, temperature: number): void {
  if (!(temperature > 0) || !Number.isFinite(temperature)) {
    throw new ConfigError(
      `klDivergence: ${name}: expected a finite number > 0, got ${temperature}`,
    );
  }
}
