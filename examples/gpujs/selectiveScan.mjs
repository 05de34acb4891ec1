/**
 * Mamba-1's selective scan for gpu.js, one thread per output element: docs/writing-a-kernel.md builds it step
 * by step. Check it with `npx selscan verify --kernel examples/gpujs/selectiveScan.mjs`.
 */

import { GPU, input } from 'gpu.js';

const gpu = new GPU({ mode: process.env.GPUJS_MODE ?? 'cpu' });

/** Δ = softplus(dtRaw + dtBias). One thread per (token, channel). */
const STEP_SIZE = `function (dtRaw, dtBias) {
  const s = dtRaw[this.thread.y][this.thread.x] + dtBias[this.thread.x];
  if (this.constants.softplus == 0 || s > 20) return s;
  const e = Math.exp(-Math.abs(s));
  const q = e / (2 + e); // ln(1 + e) = 2·artanh(q): log(1 + e) would lose what 1 + e rounds away
  const r = q * q;
  const tail = 0.14285715 + r * (0.11111111 + r * (0.09090909 + r * 0.07692308));
  const log1p = 2 * q * (1 + r * (0.33333334 + r * (0.2 + r * tail)));
  return Math.max(s, 0) + log1p;
}`;

/** y = C·h. One thread per (token, channel): it lives through the sequence again, up to its own token. */
const READ = `function (dt, x, A, B, C, h0) {
  const d = this.thread.x;
  const row = this.thread.y;
  const b = Math.floor(row / this.constants.seqlen);
  const group = Math.floor(d / this.constants.perGroup);
  const first = b * this.constants.seqlen;
  let y = 0;
  for (let n = 0; n < this.constants.dState; n++) {
    let h = h0[b][d][n];
    for (let t = 0; t < this.constants.seqlen; t++) {
      const s = first + t;
      if (s <= row) {
        h = Math.exp(dt[s][d] * A[d][n]) * h + dt[s][d] * B[s][group][n] * x[s][d];
      }
    }
    y += C[row][group][n] * h;
  }
  return y;
}`;

/** The state after the last token. One thread per (batch, channel, state). */
const LAST_STATE = `function (dt, x, A, B, h0) {
  const n = this.thread.x;
  const d = this.thread.y;
  const b = this.thread.z;
  const group = Math.floor(d / this.constants.perGroup);
  let h = h0[b][d][n];
  for (let t = 0; t < this.constants.seqlen; t++) {
    const s = b * this.constants.seqlen + t;
    h = Math.exp(dt[s][d] * A[d][n]) * h + dt[s][d] * B[s][group][n] * x[s][d];
  }
  return h;
}`;

/** y + D·x, then ·silu(z). One thread per (token, channel). */
const FINISH = `function (y, x, D, z) {
  const d = this.thread.x;
  const row = this.thread.y;
  const sum = y[row][d] + D[d] * x[row][d];
  if (this.constants.isGated == 0) return sum;
  return sum * (z[row][d] / (1 + Math.exp(-z[row][d])));
}`;

/** Runs a kernel built for these sizes; kernels of the same sizes are built once. */
const kernels = new Map();
async function run(source, output, constants, ...tensors) {
  const key = JSON.stringify([source, output, constants]);
  if (!kernels.has(key)) {
    const settings = { output, constants, loopMaxIterations: 1 << 20, precision: 'single' };
    kernels.set(key, gpu.createKernel(source, settings));
  }
  return flat(await kernels.get(key)(...tensors));
}

const flat = (rows) =>
  rows instanceof Float32Array ? rows : Float32Array.from(rows.flatMap((row) => [...flat(row)]));

const vector = (t, length) => input(t?.data ?? new Float32Array(length), [length]);

/** Takes and returns what reference/selectiveScan.ts does, in float32. */
export async function selectiveScan({ x, dtRaw, dtBias, dtSoftplus = true, A, B, C, D, z, h }) {
  const [batch, seqlen, dInner] = x.shape;
  const [, , nGroups, dState] = B.shape;
  const tokens = batch * seqlen;
  const perToken = (t) => input(t.data, [dInner, tokens]);
  const grouped = (t) => input(t.data, [dState, nGroups, tokens]);
  const start = h?.data ?? new Float32Array(batch * dInner * dState);
  const stateShape = [batch, dInner, dState];
  if (tokens === 0) return { y: x, h: { data: start, shape: stateShape } };

  const sizes = { seqlen, dState, perGroup: dInner / nGroups };
  const h0 = input(start, [dState, dInner, batch]);
  const rates = input(A.data, [dState, dInner]);
  const softplus = dtSoftplus ? 1 : 0;
  const output = [dInner, tokens];
  const steps = await run(STEP_SIZE, output, { softplus }, perToken(dtRaw), vector(dtBias, dInner));
  const dt = input(steps, output);
  const scan = [dt, perToken(x), rates, grouped(B)];
  const read = await run(READ, output, sizes, ...scan, grouped(C), h0);
  const last = await run(LAST_STATE, [dState, dInner, batch], sizes, ...scan, h0);
  const isGated = z ? 1 : 0;
  const rest = [perToken(x), vector(D, dInner), perToken(z ?? x)];
  const y = await run(FINISH, output, { isGated }, input(read, output), ...rest);
  return {
    y: { data: y, shape: x.shape },
    h: { data: last, shape: stateShape },
  };
}
