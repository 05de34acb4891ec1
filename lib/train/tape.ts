/** A tape: runs ops forward on a device, and remembers how to go back through them. */

import type {
  Differentiable,
  DifferentiableLoss,
  Numbers,
  TrainingDevice,
  TrainingOps,
} from '../../backends/training.ts';

/** Numbers on the tape, and their gradient once something has asked for it. */
export class Variable {
  readonly value: Numbers;
  /** Whether anything that is trained lies behind it. */
  readonly isTrained: boolean;
  gradient?: Numbers;

  constructor(value: Numbers, isTrained: boolean, gradient?: Numbers) {
    this.value = value;
    this.isTrained = isTrained;
    this.gradient = gradient;
  }
}

/** An op's input with variables where the device has numbers. */
type Lifted<Input> = {
  [Name in keyof Input]: NonNullable<Input[Name]> extends Numbers ? Variable : Input[Name];
};
type OpName = {
  [Name in keyof TrainingOps]: TrainingOps[Name] extends Differentiable<infer _I, infer _W>
    ? Name
    : never;
}[keyof TrainingOps];
type LossName = {
  [Name in keyof TrainingOps]: TrainingOps[Name] extends DifferentiableLoss<infer _I, infer _W>
    ? Name
    : never;
}[keyof TrainingOps];
type InputOf<Name extends keyof TrainingOps> = TrainingOps[Name] extends
  | Differentiable<infer Input, infer _W>
  | DifferentiableLoss<infer Input, infer _V>
  ? Input
  : never;

/** What an op looks like when its name does not matter. */
interface AnyOp {
  forward(input: object): { y: Numbers };
  backward(input: object, output: object, dy: Numbers, grads: object): void;
}
interface AnyLoss {
  forward(input: object): { loss: Numbers };
  backward(input: object, output: object, weight: number, grads: object): void;
}

export class Tape {
  readonly device: TrainingDevice;
  readonly #back: (() => void)[] = [];

  constructor(device: TrainingDevice) {
    this.device = device;
  }

  /** Numbers that are not trained. */
  constant(value: Numbers): Variable {
    return new Variable(value, false);
  }

  /** y of an op. */
  apply<Name extends OpName>(name: Name, input: Lifted<InputOf<Name>>): Variable {
    const op = this.device.ops[name] as unknown as AnyOp;
    const plain = valuesOf(input);
    const output = op.forward(plain);
    const y = new Variable(output.y, trainedOf(input).length > 0);
    if (y.isTrained) {
      this.#back.push(() => {
        // nothing behind this op leads to a loss
        if (y.gradient) op.backward(plain, output, y.gradient, this.#gradientsOf(input));
      });
    }
    return y;
  }

  /** A loss that counts `weight` times. Returns its value, shape (1). */
  loss<Name extends LossName>(name: Name, input: Lifted<InputOf<Name>>, weight = 1): Numbers {
    const op = this.device.ops[name] as unknown as AnyLoss;
    const plain = valuesOf(input);
    const output = op.forward(plain);
    this.#back.push(() => op.backward(plain, output, weight, this.#gradientsOf(input)));
    return output.loss;
  }

  /** Fills in the gradients of everything that is trained, of the sum of all losses. Once. */
  backward(): void {
    for (const back of this.#back.splice(0).reverse()) back();
  }

  #gradientsOf(input: object): Record<string, Numbers> {
    const grads: Record<string, Numbers> = {};
    for (const [name, variable] of trainedOf(input)) {
      variable.gradient ??= this.device.zeros(variable.value.shape);
      grads[name] = variable.gradient;
    }
    return grads;
  }
}

function valuesOf(input: object): object {
  return Object.fromEntries(
    Object.entries(input).map(([name, value]) => [
      name,
      value instanceof Variable ? value.value : value,
    ]),
  );
}

function trainedOf(input: object): [string, Variable][] {
  return Object.entries(input).filter(
    (entry): entry is [string, Variable] => entry[1] instanceof Variable && entry[1].isTrained,
  );
}
