/** Upstream's gradients of norms, attention and MLPs, and its distillation loss, in terms of ours. */

import { attentionGradient } from '../../../reference/gradients/attention.ts';
import { gatedRmsNormGradient } from '../../../reference/gradients/gatedRmsNorm.ts';
import { layerNormGradient } from '../../../reference/gradients/layerNorm.ts';
import { rmsNormGradient } from '../../../reference/gradients/rmsNorm.ts';
import { swigluMlpGradient } from '../../../reference/gradients/swigluMlp.ts';
import { nextTargets } from '../../../reference/labels.ts';
import { crossEntropy, klDivergence } from '../../../reference/losses.ts';
import type { Tensor } from '../../../reference/tensor.ts';
import { attentionInput } from './attention.ts';
import type { Adapter, GoldenCase, Outputs } from './case.ts';
import { asRows, gatedRmsNormInput, normInput, swigluMlpInput } from './layers.ts';
import { permute, withShape } from './layout.ts';

/** The output of the op and the gradients of Σ out·dout, each under its input's name, in its input's shape. */
function withGradients(
  c: GoldenCase,
  y: Tensor,
  gradients: Readonly<Record<string, Tensor | undefined>>,
): Outputs {
  const outputs: Outputs = { out: withShape(y, ...c.tensor('dout').shape) };
  for (const [name, gradient] of Object.entries(gradients)) {
    if (gradient) outputs[`grad_${name}`] = withShape(gradient, ...c.tensor(name).shape);
  }
  return outputs;
}

/** A residual that was added before the norm gets the gradient of the sum, as x does. */
const ofResidual = (c: GoldenCase, x: Tensor) => ({ residual: c.optional('residual') && x });

/** rmsnorm_grad. */
export const rmsNormGradients: Adapter = async (c, run) => {
  const input = normInput(c);
  const { y } = await run('rmsNorm', input);
  const gradient = rmsNormGradient(input, asRows(c.tensor('dout')));
  return withGradients(c, y, { ...gradient, ...ofResidual(c, gradient.x) });
};

/** layernorm_grad. */
export const layerNormGradients: Adapter = async (c, run) => {
  const input = normInput(c);
  const { y } = await run('layerNorm', input);
  const gradient = layerNormGradient(input, asRows(c.tensor('dout')));
  return withGradients(c, y, { ...gradient, ...ofResidual(c, gradient.x) });
};

/** rmsnorm_gated_grad. */
export const gatedRmsNormGradients: Adapter = async (c, run) => {
  const input = gatedRmsNormInput(c);
  const { y } = await run('gatedRmsNorm', input);
  return withGradients(c, y, { ...gatedRmsNormGradient(input, asRows(c.tensor('dout'))) });
};

/** attention_grad: q (B, H, Lq, hd), k and v (B, Hkv, Lk, hd), dout (B, Lq, H, hd). */
export const attentionGradients: Adapter = async (c, run) => {
  const input = attentionInput(c);
  const { y } = await run('attention', input);
  const { q, keys, values } = attentionGradient(input, c.tensor('dout'));
  const back = (t: Tensor) => permute(t, 'blhd', 'bhld');
  return withGradients(c, y, { q: back(q), k: back(keys), v: back(values) });
};

/** swiglu_mlp_grad. */
export const swigluMlpGradients: Adapter = async (c, run) => {
  const input = swigluMlpInput(c);
  const { y } = await run('swigluMlp', input);
  const gradient = swigluMlpGradient(input, asRows(c.tensor('dout')));
  return withGradients(c, y, {
    x: gradient.x,
    'gate_proj.weight': gradient.gateWeight,
    'gate_proj.bias': gradient.gateBias,
    'up_proj.weight': gradient.upWeight,
    'up_proj.bias': gradient.upBias,
    'down_proj.weight': gradient.downWeight,
    'down_proj.bias': gradient.downBias,
  });
};

/** kd_loss: kl_weight·KL(teacher‖student) per sequence, unmasked, + ce_weight·cross-entropy of the next label. */
export const distillationLoss: Adapter = async (c) => {
  const logits = c.tensor('student_logits');
  const [klWeight, ceWeight] = [c.number('kl_weight'), c.number('ce_weight')];
  const kl = klDivergence({
    logits,
    teacherLogits: c.tensor('teacher_logits'),
    direction: 'forward',
    reduction: 'batch',
  });
  const targets = nextTargets({ labels: c.integers('labels').data, seqlen: logits.shape[1] });
  const ce = ceWeight === 0 ? undefined : crossEntropy({ logits: asRows(logits), targets });
  const weighted = (ofKl: number, ofCe = 0) => klWeight * ofKl + ceWeight * ofCe;
  const gradient = kl.gradient.data.map((d, i) => weighted(d, ce?.gradient.data[i]));
  return {
    loss: { data: Float64Array.of(weighted(kl.loss, ce?.loss)), shape: [] },
    grad_student_logits: { data: gradient, shape: logits.shape },
  };
};
