/**
 * The ops around the recurrences once more, straight from their equations, with a bound on the error of
 * every element: written independently of `reference/`.
 */

import type { OpName, Ops } from '../../../reference/ops.ts';
import type { Tensor, Vector } from '../../../reference/tensor.ts';
import { type Approx, type Calculator, exactly, ONE, ZERO } from '../approx.ts';

type InputOf<Name extends OpName> = Parameters<Ops[Name]>[0];

const exactRow = (t: Tensor, row: number): Approx[] => {
  const width = t.shape[t.shape.length - 1];
  return Array.from(t.data.subarray(row * width, (row + 1) * width), exactly);
};

const exactRows = (t: Tensor): Approx[][] =>
  Array.from({ length: t.data.length / t.shape[t.shape.length - 1] }, (_, i) => exactRow(t, i));

/** W·x + b of one vector. */
function affine(x: readonly Approx[], weight: Tensor, bias: Tensor | undefined, calc: Calculator) {
  return exactRows(weight).map((row, o) => {
    const shift = bias && exactly(bias.data[o]);
    if (shift && calc.freedom === 'any') {
      // the sum may begin with the bias
      return calc.sum([shift, ...row.map((weight, i) => calc.mul(weight, x[i]))]);
    }
    const sum = calc.dot(row, x);
    return shift ? calc.add(sum, shift) : sum;
  });
}

export function linear({ x, weight, bias }: InputOf<'linear'>, calc: Calculator) {
  return { y: exactRows(x).flatMap((row) => affine(row, weight, bias, calc)) };
}

export function embedding({ tokens, weight }: InputOf<'embedding'>) {
  return { y: Array.from(tokens).flatMap((token) => exactRow(weight, token)) };
}

/** 1 / √(mean(v²) + eps). */
function inverseRms(v: readonly Approx[], eps: number, calc: Calculator): Approx {
  const mean = calc.div(calc.dot(v, v), exactly(v.length));
  return calc.div(ONE, calc.sqrt(calc.add(mean, calc.rounded(eps, 0))));
}

/** v·scale·weight + bias. */
function scaled(
  v: readonly Approx[],
  scale: Approx,
  weight: Vector,
  bias: Vector | undefined,
  calc: Calculator,
): Approx[] {
  return v.map((x, i) => {
    const y = calc.product([x, scale, exactly(weight[i])]);
    return bias ? calc.add(y, exactly(bias[i])) : y;
  });
}

export function rmsNorm({ x, weight, bias, eps }: InputOf<'rmsNorm'>, calc: Calculator) {
  const rows = exactRows(x).map((v) =>
    scaled(v, inverseRms(v, eps, calc), weight.data, bias?.data, calc),
  );
  return { y: rows.flat() };
}

export function layerNorm({ x, weight, bias, eps }: InputOf<'layerNorm'>, calc: Calculator) {
  const rows = exactRows(x).map((v) => {
    const mean = calc.div(calc.sum(v), exactly(v.length));
    const centred = v.map((value) => calc.sub(value, mean));
    return scaled(centred, inverseRms(centred, eps, calc), weight.data, bias?.data, calc);
  });
  return { y: rows.flat() };
}

export function gatedRmsNorm(input: InputOf<'gatedRmsNorm'>, calc: Calculator) {
  const { x, z, weight, bias, eps, groupSize = x.shape[1], normBeforeGate = false } = input;
  const rows = exactRows(x).map((v, r) => {
    const gates = z && exactRow(z, r);
    const gate = (values: Approx[]) =>
      gates ? values.map((value, i) => calc.gated(value, gates[i])) : values;
    const inner = normBeforeGate ? v : gate(v);
    const normed: Approx[] = [];
    for (let start = 0; start < inner.length; start += groupSize) {
      const group = inner.slice(start, start + groupSize);
      const scale = inverseRms(group, eps, calc);
      const w = weight.data.subarray(start, start + groupSize);
      const b = bias?.data.subarray(start, start + groupSize);
      normed.push(...scaled(group, scale, w, b, calc));
    }
    return normBeforeGate ? gate(normed) : normed;
  });
  return { y: rows.flat() };
}

export function swigluMlp(input: InputOf<'swigluMlp'>, calc: Calculator) {
  const rows = exactRows(input.x).map((x) => {
    const gate = affine(x, input.gateWeight, input.gateBias, calc);
    const up = affine(x, input.upWeight, input.upBias, calc);
    const hidden = up.map((value, i) => calc.gated(value, gate[i]));
    return affine(hidden, input.downWeight, input.downBias, calc);
  });
  return { y: rows.flat() };
}

export function gatedMlp(input: InputOf<'gatedMlp'>, calc: Calculator) {
  const dHidden = input.fc1Weight.shape[0] / 2;
  const rows = exactRows(input.x).map((x) => {
    const both = affine(x, input.fc1Weight, input.fc1Bias, calc);
    const hidden = both.slice(0, dHidden).map((value, i) => calc.gated(value, both[dHidden + i]));
    return affine(hidden, input.fc2Weight, input.fc2Bias, calc);
  });
  return { y: rows.flat() };
}

export function causalConv1d(input: InputOf<'causalConv1d'>, calc: Calculator) {
  const { x, weight, bias, activation, convState } = input;
  const [batch, seqlen, channels] = x.shape;
  const dConv = weight.shape[1];
  const y = new Array<Approx>(x.data.length);
  const kept = new Array<Approx>(batch * channels * (dConv - 1));
  for (let b = 0; b < batch; b++) {
    for (let c = 0; c < channels; c++) {
      const before = Array.from({ length: dConv - 1 }, (_, k) =>
        exactly(convState?.data[(b * channels + c) * (dConv - 1) + k] ?? 0),
      );
      const all = [...before];
      for (let t = 0; t < seqlen; t++) all.push(exactly(x.data[(b * seqlen + t) * channels + c]));
      for (let t = 0; t < seqlen; t++) {
        const products = Array.from({ length: dConv }, (_, w) =>
          calc.mul(exactly(weight.data[c * dConv + w]), all[t + w]),
        );
        const sum = calc.sum([exactly(bias?.data[c] ?? 0), ...products]);
        y[(b * seqlen + t) * channels + c] = activation === 'silu' ? calc.silu(sum) : sum;
      }
      for (let k = 0; k < dConv - 1; k++) {
        kept[(b * channels + c) * (dConv - 1) + k] = all[seqlen + k];
      }
    }
  }
  return { y, convState: kept };
}

export function rope({ x, angles, pairing = 'half' }: InputOf<'rope'>, calc: Calculator) {
  const [, seqlen, nHeads, headDim] = x.shape;
  const nPairs = angles.shape[1];
  const y = exactRows(x).flatMap((v, head) => {
    const t = Math.trunc(head / nHeads) % seqlen;
    const out = [...v];
    for (let i = 0; i < nPairs; i++) {
      const [j, k] = pairing === 'half' ? [i, i + nPairs] : [2 * i, 2 * i + 1];
      const { cos, sin } = calc.rotation(angles.data[t * nPairs + i]);
      out[j] = calc.sub(calc.mul(v[j], cos), calc.mul(v[k], sin));
      out[k] = calc.add(calc.mul(v[k], cos), calc.mul(v[j], sin));
    }
    return out.slice(0, headDim);
  });
  return { y };
}

/**
 * e^(x − max) and their sum; shifting by any constant is exact in the equation. In any freedom the maximum may
 * be found on the way (flash attention): what was summed up to then is multiplied by e^(old − new) each time.
 */
function shiftedExponentials(x: readonly Approx[], calc: Calculator) {
  const values = x.map(({ value }) => value);
  const max = exactly(Math.max(...values));
  const spread = max.value - Math.min(...values);
  const { unit } = calc.machine;
  const rescaled =
    unit *
    (x.length * (calc.machine.exp(0).units + 2) + calc.machine.exp(spread).units + 2 * spread);
  const isFree = calc.freedom === 'any' && rescaled < 1;
  const exponentials = x.map((value) => {
    const e = calc.exp(calc.sub(value, max));
    return isFree ? { value: e.value, error: e.error + e.value * rescaled } : e;
  });
  return { max, exponentials, total: calc.sum(exponentials) };
}

/** The softmax of one row. */
export function softmaxOf(x: readonly Approx[], calc: Calculator): Approx[] {
  const { exponentials, total } = shiftedExponentials(x, calc);
  return exponentials.map((e) => calc.div(e, total));
}

export function softmax({ x }: InputOf<'softmax'>, calc: Calculator) {
  return { y: exactRows(x).flatMap((row) => softmaxOf(row, calc)) };
}

export function logSoftmax({ x }: InputOf<'logSoftmax'>, calc: Calculator) {
  const y = exactRows(x).flatMap((row) => {
    const { max, total } = shiftedExponentials(row, calc);
    const logTotal = calc.add(max, calc.log(total));
    return row.map((value) => {
      const y = calc.sub(value, logTotal);
      if (calc.freedom === 'ours') return y;
      // or (x − max) − ln Σ
      const apart = Math.abs(value.value - max.value) * calc.machine.unit;
      return { value: y.value, error: y.error + apart };
    });
  });
  return { y };
}

export function attention(input: InputOf<'attention'>, calc: Calculator) {
  const { q, keys, values, isCausal = true } = input;
  const [batch, seqlen, nHeads, headDim] = q.shape;
  const [, length, nKvHeads] = keys.shape;
  const scale = calc.rounded(input.scale ?? 1 / Math.sqrt(headDim), 0);
  const [qs, ks, vs] = [exactRows(q), exactRows(keys), exactRows(values)];
  const y: Approx[] = [];
  const weights = new Array<Approx>(batch * nHeads * seqlen * length).fill(ZERO);
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < seqlen; t++) {
      const seen = isCausal ? length - seqlen + t + 1 : length;
      for (let i = 0; i < nHeads; i++) {
        const kvHead = Math.trunc((i * nKvHeads) / nHeads);
        const at = (j: number) => (b * length + j) * nKvHeads + kvHead;
        const query = qs[(b * seqlen + t) * nHeads + i];
        const scores = Array.from({ length: seen }, (_, j) =>
          calc.mul(scale, calc.dot(query, ks[at(j)])),
        );
        const row = softmaxOf(scores, calc);
        row.forEach((weight, j) => {
          weights[((b * nHeads + i) * seqlen + t) * length + j] = weight;
        });
        for (let p = 0; p < headDim; p++) {
          y.push(
            calc.dot(
              row,
              row.map((_, j) => vs[at(j)][p]),
            ),
          );
        }
      }
    }
  }
  return { y, weights };
}

/** Pointwise ops: sigmoid, silu and softplus. */
export const pointwise = (f: (calc: Calculator) => (x: Approx) => Approx) => {
  return ({ x }: InputOf<'silu'>, calc: Calculator) => ({
    y: Array.from(x.data, (value) => f(calc)(exactly(value))),
  });
};
