/** The models in jax-js, as one writes them there: whole arrays, `ref` where one is used again. */

import type {
  AttentionConfig,
  DiscreteMamba2Config,
  LayerConfig,
  ModelConfig,
} from '../../../reference/config.ts';
import { UnsupportedError } from '../../../reference/errors.ts';
import { ropeFrequencies } from '../../../reference/rope.ts';
import type { Arrays, JaxArray, JaxModule } from './jaxTypes.ts';

export class JaxModel {
  readonly #jax: JaxModule;
  readonly #config: ModelConfig;
  readonly #seqlen: number;

  constructor(jax: JaxModule, config: ModelConfig, seqlen: number) {
    this.#jax = jax;
    this.#config = config;
    this.#seqlen = seqlen;
  }

  /** Mean cross-entropy. Tokens and targets (batch, seqlen). */
  loss(weights: Arrays, tokens: JaxArray, targets: JaxArray): JaxArray {
    const { numpy: np, nn } = this.#jax;
    const { layers, finalNorm, isTied, vocabRows } = this.#config;
    if (!isTied) throw new UnsupportedError('jax-js: expected a model whose embedding is its head');
    // not np.take and np.takeAlongAxis: `jit` refuses the scatter of their gradients
    let x = np.matmul(nn.oneHot(tokens, vocabRows), weights.embedding.ref);
    layers.forEach((layer, i) => {
      x = this.#layer(x, layer, (name) => weights[`layers.${i}.${name}`]);
    });
    const normed = this.#norm(x, weights['finalNorm.weight'], finalNorm.eps);
    const logits = this.#linear(normed, weights.embedding);
    const chosen = nn.logSoftmax(logits, -1).mul(nn.oneHot(targets, vocabRows));
    return chosen.sum(-1).mean().neg();
  }

  #layer(x: JaxArray, layer: LayerConfig, weight: (name: string) => JaxArray): JaxArray {
    const { nn } = this.#jax;
    const { mixer, norm } = layer;
    const ofMixer = (name: string) => weight(`mixer.${name}`);
    const u = this.#norm(x.ref, weight('mixerNorm.weight'), norm.eps);
    const middle = x.add(this.#mixer(u, mixer, ofMixer));
    const v = this.#norm(middle.ref, weight('mlpNorm.weight'), norm.eps);
    const gate = nn.silu(this.#linear(v.ref, weight('mlp.gate')));
    const hidden = gate.mul(this.#linear(v, weight('mlp.up')));
    return middle.add(this.#linear(hidden, weight('mlp.down')));
  }

  #mixer(u: JaxArray, mixer: LayerConfig['mixer'], weight: (name: string) => JaxArray): JaxArray {
    if (mixer.kind === 'attention') return this.#attention(u, mixer, weight);
    if (mixer.kind === 'discreteMamba2') return this.#discreteMamba2(u, mixer, weight);
    throw new UnsupportedError(
      `jax-js: expected attention or Discrete Mamba-2 layers, got ${mixer.kind}`,
    );
  }

  #attention(
    u: JaxArray,
    { nHeads, nKvHeads, headDim, rope }: AttentionConfig,
    weight: (name: string) => JaxArray,
  ): JaxArray {
    const { numpy: np, nn } = this.#jax;
    const [batch, seqlen] = u.shape;
    const places = [nHeads * headDim, (nHeads + nKvHeads) * headDim];
    const [q, k, v] = np
      .split(this.#linear(u, weight('inProj')), places, -1)
      .map((part) => part.reshape([batch, seqlen, -1, headDim]).transpose([0, 2, 1, 3]));
    const rotated = (x: JaxArray) => (rope ? this.#rotate(x, ropeFrequencies(rope)) : x);
    const perHead = (x: JaxArray) => np.repeat(x, nHeads / nKvHeads, 1);
    // not nn.dotProductAttention: its einsum calls an iterator's `map`, which Node has from 22 on
    const scores = np
      .matmul(rotated(q), perHead(rotated(k)).transpose([0, 1, 3, 2]))
      .mul(1 / Math.sqrt(headDim));
    const masked = np.where(this.#isSeen(), scores, Number.NEGATIVE_INFINITY);
    const y = np.matmul(nn.softmax(masked, -1), perHead(v));
    return this.#linear(merged(y), weight('outProj'));
  }

  #discreteMamba2(
    u: JaxArray,
    { nHeads, headDim, nGroups, dState, dConv, activation }: DiscreteMamba2Config,
    weight: (name: string) => JaxArray,
  ): JaxArray {
    const { numpy: np, nn } = this.#jax;
    const [batch, seqlen] = u.shape;
    const [inner, state] = [nHeads * headDim, nGroups * dState];
    const channels = inner + 2 * state;
    const projected = this.#linear(u, weight('inProj'));
    const [xBC, z, a] = np.split(projected, [channels, channels + inner], -1);
    const sum = this.#conv(xBC, weight('convWeight'), dConv).add(weight('convBias'));
    const convolved = activation === 'silu' ? nn.silu(sum) : sum;
    const [x, B, C] = np
      .split(convolved, [inner, inner + state], -1)
      .map((part, i) => part.reshape([batch, seqlen, i === 0 ? nHeads : nGroups, -1]))
      .map((part) => part.transpose([0, 2, 1, 3]));
    const perHead = (part: JaxArray) => np.repeat(part, nHeads / nGroups, 1);
    // the whole sequence as one matrix: there is no scan
    const total = np.cumsum(nn.logSigmoid(a.neg()).transpose([0, 2, 1]), -1);
    const between = total.ref
      .reshape([batch, nHeads, seqlen, 1])
      .sub(total.reshape([batch, nHeads, 1, seqlen]));
    const decays = np.exp(np.where(this.#isSeen(), between, Number.NEGATIVE_INFINITY));
    const products = np.matmul(perHead(C), perHead(B).transpose([0, 1, 3, 2]));
    const read = np.matmul(products.mul(decays), x.ref);
    const y = read.add(x.mul(weight('D').reshape([nHeads, 1, 1])));
    const gate = nn.silu(z.add(weight('zBias')));
    return this.#linear(merged(y).mul(gate), weight('outProj'));
  }

  /** Each channel's taps over its last tokens, the last of them on the current one. */
  #conv(x: JaxArray, taps: JaxArray, dConv: number): JaxArray {
    const { numpy: np } = this.#jax;
    const seqlen = x.shape[1];
    const padded = np.pad(x, [
      [0, 0],
      [dConv - 1, 0],
      [0, 0],
    ]);
    return Array.from({ length: dConv }, (_, tap) =>
      padded.ref.slice([], [tap, tap + seqlen], []).mul(taps.ref.slice([], tap)),
    ).reduce((sum, part) => sum.add(part));
  }

  #linear(x: JaxArray, weight: JaxArray): JaxArray {
    const { numpy: np } = this.#jax;
    return np.matmul(x, weight.transpose([1, 0]));
  }

  #norm(x: JaxArray, weight: JaxArray, eps: number): JaxArray {
    const { numpy: np } = this.#jax;
    const mean = np.square(x.ref).mean(-1, { keepdims: true });
    return x.div(np.sqrt(mean.add(eps))).mul(weight);
  }

  /** Turns pairs of channels that are half a head apart. x (batch, heads, seqlen, headDim). */
  #rotate(x: JaxArray, frequencies: Float64Array): JaxArray {
    const { numpy: np } = this.#jax;
    const half = frequencies.length;
    const table = (of: (angle: number) => number) =>
      np
        .array(
          Float32Array.from({ length: this.#seqlen * half }, (_, i) =>
            of(Math.floor(i / half) * frequencies[i % half]),
          ),
        )
        .reshape([this.#seqlen, half]);
    const [cos, sin] = [table(Math.cos), table(Math.sin)];
    const [first, second] = np.split(x, [half], -1);
    const turned = [
      first.ref.mul(cos.ref).sub(second.ref.mul(sin.ref)),
      second.mul(cos).add(first.mul(sin)),
    ];
    return np.concatenate(turned, -1);
  }

  /** Which tokens a token may see, (seqlen, seqlen). */
  #isSeen(): JaxArray {
    const { numpy: np } = this.#jax;
    return np.tri(this.#seqlen, this.#seqlen, 0, { dtype: np.bool });
  }
}

/** Heads next to each other: (batch, heads, seqlen, headDim) to (batch, seqlen, heads·headDim). */
function merged(x: JaxArray): JaxArray {
  const [batch, , seqlen] = x.shape;
  return x.transpose([0, 2, 1, 3]).reshape([batch, seqlen, -1]);
}
