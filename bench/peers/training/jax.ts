/** @jax-js/jax as a contestant: the whole step in one `jit`, gradients by `valueAndGrad`. */

import { UnsupportedError } from '../../../reference/errors.ts';
import { sizeOf } from '../../../reference/tensor.ts';
import { JaxModel } from './jaxModel.ts';
import type { Arrays, JaxArray, JaxModule } from './jaxTypes.ts';
import { readProblem } from './problem.ts';
import type { Hyperparameters, Trainer, WeightEntry } from './protocol.ts';

/** Not a literal: the root's type check does not see bench/peers/node_modules. */
const PACKAGE: string = '@jax-js/jax';

/** Weights, and AdamW's running means of each. */
type State = { weights: Arrays; m: Arrays; v: Arrays };

export async function openJax(folder: string): Promise<Trainer> {
  const jax = (await import(PACKAGE)) as JaxModule;
  const { numpy: np } = jax;
  if (jax.defaultDevice() !== 'wasm') {
    throw new UnsupportedError(`jax-js: expected its device wasm, got ${jax.defaultDevice()}`);
  }
  const { problem, model, data } = await readProblem(folder);
  const { batch, seqlen, hyperparameters } = problem;
  const zeros = () =>
    Object.fromEntries(problem.weights.map(({ name, shape }) => [name, np.zeros(shape)]));
  const weights = Object.fromEntries(
    [...model.weights].map(([name, { data, shape }]) => [
      name,
      np.array(Float32Array.from(data)).reshape([...shape]),
    ]),
  );
  const integers = (values: Int32Array) =>
    np.array(values, { dtype: np.int32 }).reshape([batch, seqlen]);
  const [tokens, targets] = [integers(data.tokens), integers(data.targets)];
  const network = new JaxModel(jax, model.config, seqlen);
  const optimiser = adamW(jax, problem.weights, hyperparameters);
  const train = jax.jit(
    (
      state: State,
      tokensGiven: JaxArray,
      targetsGiven: JaxArray,
      rate: JaxArray,
      root: JaxArray,
    ): { loss: JaxArray; state: State } => {
      const lossOf = jax.valueAndGrad((w: Arrays) =>
        network.loss(w, tokensGiven.ref, targetsGiven.ref),
      );
      const kept = Object.fromEntries(
        Object.entries(state.weights).map(([name, weight]) => [name, weight.ref]),
      );
      const [loss, gradients] = lossOf(kept);
      return { loss, state: optimiser(state, gradients, rate, root) };
    },
  );
  let state: State = { weights, m: zeros(), v: zeros() };
  let steps = 0;
  const { learningRate, betas } = hyperparameters;
  return {
    info: `@jax-js/jax 0.1.25, wasm, ${typeof Worker === 'undefined' ? '1 thread' : 'threads'}`,
    step: async () => {
      steps++;
      // what changes from step to step is passed as arrays: numbers would be compiled in
      const rate = np.array(learningRate / (1 - betas[0] ** steps));
      const root = np.array(1 / Math.sqrt(1 - betas[1] ** steps));
      const after = train(state, tokens.ref, targets.ref, rate, root);
      state = after.state;
      await jax.blockUntilReady(state);
      return (await after.loss.data())[0];
    },
  };
}

function adamW(
  { numpy: np }: JaxModule,
  entries: readonly WeightEntry[],
  { learningRate, betas: [beta1, beta2], eps, weightDecay, clip }: Hyperparameters,
) {
  return (state: State, gradients: Arrays, rate: JaxArray, root: JaxArray): State => {
    const squares = entries.map(({ name, shape }) =>
      np.square(gradients[name].ref.reshape([sizeOf(shape)])).sum(),
    );
    const norm = np.sqrt(squares.reduce((sum, square) => sum.add(square)));
    const scale = np.minimum(np.array(clip).div(norm), 1);
    const next: State = { weights: {}, m: {}, v: {} };
    for (const { name, decays } of entries) {
      const g = gradients[name].mul(scale.ref);
      const m = state.m[name].mul(beta1).add(g.ref.mul(1 - beta1));
      const v = state.v[name].mul(beta2).add(np.square(g).mul(1 - beta2));
      const step = m.ref.mul(rate.ref).div(np.sqrt(v.ref).mul(root.ref).add(eps));
      const kept = decays
        ? state.weights[name].mul(1 - learningRate * weightDecay)
        : state.weights[name];
      next.weights[name] = kept.sub(step);
      [next.m[name], next.v[name]] = [m, v];
    }
    return next;
  };
}
