/** The ops of training on the reference: its ops and their gradients, under the shapes of training. */

import type {
  AddIn,
  AttentionIn,
  CausalConv1dIn,
  ColumnsIn,
  DiscreteSsdIn,
  GateIn,
  MixerMatrixIn,
  Numbers,
  RepeatGroupsIn,
  RopeIn,
  SelectiveScanIn,
  SsdIn,
  TrainingOps,
} from '../../backends/training.ts';
import { attention } from '../../reference/attention.ts';
import { causalConv1d } from '../../reference/causalConv1d.ts';
import { discreteSsd } from '../../reference/discreteSsd.ts';
import { discreteSsdMatrix } from '../../reference/discreteSsdMatrix.ts';
import { embedding } from '../../reference/embedding.ts';
import { gatedRmsNorm } from '../../reference/gatedRmsNorm.ts';
import * as gradients from '../../reference/gradients/index.ts';
import { linear } from '../../reference/linear.ts';
import { crossEntropy, hiddenDistance, klDivergence } from '../../reference/losses.ts';
import { repeatGroups } from '../../reference/mambaInLlamaMixer.ts';
import { decayRates } from '../../reference/mixer.ts';
import { rmsNorm } from '../../reference/rmsNorm.ts';
import { rope, ropeAngles } from '../../reference/rope.ts';
import { selectiveScan } from '../../reference/selectiveScan.ts';
import { ssd } from '../../reference/ssd.ts';
import { gateProduct } from '../../reference/swigluMlp.ts';
import type { Tensor } from '../../reference/tensor.ts';
import { differentiable, held, loss, maybeHeld, sequences } from './onReference.ts';
import { adamW, columnsOf, foldGroups, putColumns, sum, sumOfSquares } from './referencePieces.ts';

const flat = ({ data }: Tensor, numbers: Numbers): Tensor => ({ data, shape: numbers.shape });
const headDimOf = ({ x, nHeads }: { x: Numbers; nHeads: number }) =>
  (x.shape[1] as number) / nHeads;
const perHead = (D: Numbers | undefined, nHeads: number): Tensor | undefined =>
  D && { data: held(D).data, shape: [nHeads, 1] };

/** dALog = dA·A, since A = −exp(ALog). */
function throughRates(dA: Tensor, A: Tensor): Tensor {
  return { data: dA.data.map((d, i) => d * A.data[i]), shape: dA.shape };
}

const B_C = ({ B, C, nGroups, seqlen }: Pick<SsdIn, 'B' | 'C' | 'nGroups' | 'seqlen'>) => {
  const dState = (B.shape[1] as number) / nGroups;
  return {
    B: sequences(B, seqlen, nGroups, dState),
    C: sequences(C, seqlen, nGroups, dState),
  };
};

function convInput({ x, weight, bias, activation, seqlen }: CausalConv1dIn) {
  const channels = x.shape[1] as number;
  return {
    ...{ x: sequences(x, seqlen, channels), weight: held(weight), bias: maybeHeld(bias) },
    activation,
  };
}

function scanInput(input: SelectiveScanIn) {
  const { x, dtRaw, dtBias, ALog, D, seqlen } = input;
  const dInner = x.shape[1] as number;
  return {
    ...{ x: sequences(x, seqlen, dInner), dtRaw: sequences(dtRaw, seqlen, dInner) },
    ...{ dtBias: maybeHeld(dtBias), A: decayRates(held(ALog), held(ALog).data) },
    ...{ ...B_C(input), D: maybeHeld(D) },
  };
}

function ssdInput(input: SsdIn) {
  const { x, dtRaw, dtBias, ALog, D, nHeads, seqlen } = input;
  return {
    x: sequences(x, seqlen, nHeads, headDimOf(input)),
    dtRaw: sequences(dtRaw, seqlen, nHeads),
    ...{ dtBias: maybeHeld(dtBias), A: decayRates(held(ALog), held(ALog).data) },
    ...{ ...B_C(input), D: perHead(D, nHeads) },
  };
}

function discreteInput(input: DiscreteSsdIn) {
  const { x, a, D, nHeads, seqlen } = input;
  return {
    x: sequences(x, seqlen, nHeads, headDimOf(input)),
    a: sequences(a, seqlen, nHeads),
    ...{ ...B_C(input), D: perHead(D, nHeads) },
  };
}

/** x takes no part in the matrix: zeros of one channel stand for it. */
function matrixInput(input: MixerMatrixIn) {
  const { a, nHeads } = input;
  const rows = a.shape[0] as number;
  const x: Tensor = { data: new Float64Array(rows * nHeads), shape: [rows, nHeads] };
  return discreteInput({ ...input, x });
}

function ropeInput({ x, headDim, frequencies, pairing, seqlen }: RopeIn) {
  const positions = Array.from({ length: seqlen }, (_, t) => t);
  const heads = (x.shape[1] as number) / headDim;
  return {
    x: sequences(x, seqlen, heads, headDim),
    angles: ropeAngles(positions, frequencies, 'float64'),
    pairing,
  };
}

function attentionInput({ q, k, v, nHeads, nKvHeads, scale, seqlen }: AttentionIn) {
  const headDim = (q.shape[1] as number) / nHeads;
  return {
    q: sequences(q, seqlen, nHeads, headDim),
    keys: sequences(k, seqlen, nKvHeads, headDim),
    values: sequences(v, seqlen, nKvHeads, headDim),
    scale,
  };
}

/** dy as (batch, seqlen, …) for a gradient of the reference. */
const like = (dy: Tensor, { shape }: Tensor): Tensor => ({ data: dy.data, shape });

const matrices = ({ data }: Tensor, seqlen: number): Tensor => ({
  data,
  shape: [1, data.length / (seqlen * seqlen), seqlen, seqlen],
});

export const referenceTrainingOps: TrainingOps = {
  embedding: differentiable(
    ({ tokens, weight }) => embedding({ tokens, weight: held(weight), precision: 'float64' }).y,
    ({ tokens, weight }, dy) => gradients.embeddingGradient({ tokens, weight: held(weight) }, dy),
  ),
  linear: differentiable(
    ({ x, weight, bias }) => linear({ x: held(x), weight: held(weight), bias: maybeHeld(bias) }).y,
    ({ x, weight, bias }, dy) =>
      gradients.linearGradient({ x: held(x), weight: held(weight), bias: maybeHeld(bias) }, dy),
  ),
  add: differentiable(
    ({ a, b }: AddIn) => sum(held(a), held(b)),
    (_input, dy) => ({ a: dy, b: dy }),
  ),
  columns: differentiable(
    ({ x, from, width }: ColumnsIn) => columnsOf(held(x), from, width),
    ({ x, from }, dy) => ({ x: putColumns(held(x), from, dy) }),
  ),
  repeatGroups: differentiable(
    ({ x, width, times }: RepeatGroupsIn) => repeatGroups(held(x), width, times),
    ({ x, width, times }, dy) => ({ x: foldGroups(held(x), width, times, dy) }),
  ),
  rmsNorm: differentiable(
    ({ x, weight, eps }) => rmsNorm({ x: held(x), weight: held(weight), eps }).y,
    ({ x, weight, eps }, dy) =>
      gradients.rmsNormGradient({ x: held(x), weight: held(weight), eps }, dy),
  ),
  gatedRmsNorm: differentiable(
    ({ x, z, weight, ...rest }) =>
      gatedRmsNorm({ x: held(x), z: held(z), weight: held(weight), ...rest }).y,
    ({ x, z, weight, ...rest }, dy) =>
      gradients.gatedRmsNormGradient({ x: held(x), z: held(z), weight: held(weight), ...rest }, dy),
  ),
  gate: differentiable(
    ({ x, z, zBias }: GateIn) => {
      const bias = maybeHeld(zBias)?.data;
      const open = bias ? held(z).data.map((v, i) => v + bias[i % bias.length]) : held(z).data;
      return gateProduct(held(x), { data: open, shape: z.shape });
    },
    ({ x, z, zBias }, dy) =>
      gradients.gateGradient({ x: held(x), z: held(z), zBias: maybeHeld(zBias) }, dy),
  ),
  causalConv1d: differentiable(
    (input: CausalConv1dIn) => flat(causalConv1d(convInput(input)).y, input.x),
    (input, dy) => {
      const own = convInput(input);
      return gradients.causalConv1dGradient(own, like(dy, own.x));
    },
  ),
  selectiveScan: differentiable(
    (input: SelectiveScanIn) => flat(selectiveScan(scanInput(input)).y, input.x),
    (input, dy) => {
      const own = scanInput(input);
      const back = gradients.selectiveScanGradient(own, like(dy, own.x));
      return { ...back, ALog: throughRates(back.A, own.A) };
    },
  ),
  ssd: differentiable(
    (input: SsdIn) => flat(ssd(ssdInput(input)).y, input.x),
    (input, dy) => {
      const own = ssdInput(input);
      const back = gradients.ssdGradient(own, like(dy, own.x));
      return { ...back, ALog: throughRates(back.A, own.A) };
    },
  ),
  discreteSsd: differentiable(
    (input: DiscreteSsdIn) => flat(discreteSsd(discreteInput(input)).y, input.x),
    (input, dy) => {
      const own = discreteInput(input);
      return gradients.discreteSsdGradient(own, like(dy, own.x));
    },
  ),
  rope: differentiable(
    (input: RopeIn) => flat(rope(ropeInput(input)).y, input.x),
    (input, dy) => {
      const own = ropeInput(input);
      return gradients.ropeGradient(own, like(dy, own.x));
    },
  ),
  attention: differentiable(
    (input: AttentionIn) => flat(attention(attentionInput(input)).y, input.q),
    (input, dy) => {
      const own = attentionInput(input);
      const { q, keys, values } = gradients.attentionGradient(own, like(dy, own.q));
      return { q, k: keys, v: values };
    },
  ),
  mixerMatrix: differentiable(
    (input: MixerMatrixIn) => {
      const { data } = discreteSsdMatrix(matrixInput(input)).M;
      return { data, shape: [data.length / input.seqlen, input.seqlen] };
    },
    (input, dy) => {
      const own = matrixInput(input);
      const [batch, seqlen, nHeads] = own.x.shape;
      const dM = { data: dy.data, shape: [batch, nHeads, seqlen, seqlen] };
      return gradients.discreteSsdMatrixGradient(own, dM);
    },
  ),
  attentionMatrix: ({ q, k, ...rest }) => {
    const own = attentionInput({ q, k, v: k, ...rest });
    const { weights } = attention({ ...own, withWeights: true });
    const { data } = weights as Tensor;
    return { data, shape: [data.length / rest.seqlen, rest.seqlen] } as Numbers;
  },
  crossEntropy: loss(
    ({ logits, targets }) => crossEntropy({ logits: held(logits), targets: Array.from(targets) }),
    'logits',
  ),
  klDivergence: loss(({ logits, teacherLogits, mask, direction, divisor }) => {
    const [rows, vocabRows] = logits.shape;
    const shape = [1, rows, vocabRows];
    const places = Array.from(mask, (x) => x !== 0);
    const mean = klDivergence({
      logits: { data: held(logits).data, shape },
      teacherLogits: { data: held(teacherLogits).data, shape },
      ...{ mask: places, direction },
    });
    // the reference divides by the places that count
    const factor = places.filter(Boolean).length / divisor;
    const gradient = { data: mean.gradient.data.map((x) => x * factor), shape: logits.shape };
    return { loss: mean.loss * factor, gradient };
  }, 'logits'),
  hiddenDistance: loss(({ x, target, mask }) => {
    const rows = Array.from(mask.keys()).filter((row) => mask[row] !== 0);
    const width = x.shape[1] as number;
    const pick = ({ data }: Tensor): Tensor => ({
      data: Float64Array.from(
        rows.flatMap((row) => [...data.subarray(row * width, (row + 1) * width)]),
      ),
      shape: [rows.length, width],
    });
    const some = hiddenDistance({ x: pick(held(x)), target: pick(held(target)) });
    const gradient = new Float64Array(held(x).data.length);
    rows.forEach((row, i) => {
      gradient.set(some.gradient.data.subarray(i * width, (i + 1) * width), row * width);
    });
    return { loss: some.loss, gradient: { data: gradient, shape: x.shape } };
  }, 'x'),
  matrixDistance: loss(({ x, target, seqlen }) => {
    const pair = { x: matrices(held(x), seqlen), target: matrices(held(target), seqlen) };
    const back = gradients.matrixDistanceGradient(pair).x;
    return { loss: gradients.matrixDistance(pair), gradient: { data: back.data, shape: x.shape } };
  }, 'x'),
  sumOfSquares: (numbers) => sumOfSquares(numbers.map(held)),
  adamW,
};
