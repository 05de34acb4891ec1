/**
 * A scalar head, trained as two: with the logits (w₀·h, w₁·h) the softmax of the second is σ((w₁ − w₀)·h), so that the
 * cross-entropy of two rows is the logistic loss of their difference. What is kept is the difference.
 */

import type { ModelConfig } from '../../reference/config.ts';
import type { Tensor } from '../../reference/tensor.ts';

/** The config with which the training graph runs a head of its own, of any number of rows. */
export function withOwnHead(config: ModelConfig): ModelConfig {
  return { ...config, isTied: false, hasHeadBias: false };
}

/** The weights of a model's layers and norms, without what makes logits of them. */
function backbone(weights: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  const heads = ['head', 'headBias', 'score'];
  return new Map([...weights].filter(([name]) => !heads.includes(name)));
}

/** To be trained: a head of two rows, wrong and right, that says one half of everything. */
export function withTwoRows(
  weights: ReadonlyMap<string, Tensor>,
  dModel: number,
): Map<string, Tensor> {
  const head = { data: new Float32Array(2 * dModel), shape: [2, dModel] };
  return backbone(weights).set('head', head);
}

/** As it is written: the difference of both rows is `score`, (1, dModel). */
export function withScore(trained: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  const { data, shape } = trained.get('head') as Tensor;
  const dModel = shape[1];
  const score = data.slice(dModel).map((x, i) => x - data[i]);
  return backbone(trained).set('score', { data: score, shape: [1, dModel] });
}

/** As the training graph runs it: `score` is the head. */
export function withOneRow(weights: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  return backbone(weights).set('head', weights.get('score') as Tensor);
}
