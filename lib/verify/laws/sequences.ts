/** What must hold of every op over a sequence that carries a state: it may be cut anywhere. */

import type fc from 'fast-check';
import type { OpName } from '../../../reference/ops.ts';
import { type Tensor, zerosLike } from '../../../reference/tensor.ts';
import { INPUTS } from '../arbitraries.ts';
import { type Drawn, size, withDim } from '../inputs/drawn.ts';
import { changed, joinTokens, takeTokens, tokenTensors, withTokenAxis } from '../tokens.ts';
import { type Law, type LawSubject, law } from './law.ts';
import { sameness } from './sameness.ts';

/** An op over a sequence, the same for one token, and the state that both take and return. */
export interface SequenceOp {
  sequence: OpName;
  step: OpName;
  state: 'h' | 'convState';
}

type Input = { x: Tensor } & { [State in SequenceOp['state']]?: Tensor };
type Output = { y: Tensor } & { [State in SequenceOp['state']]: Tensor };
type Run = (name: OpName, input: unknown) => Promise<Output>;

const runOf = (subject: LawSubject) => subject.run as unknown as Run;

/** The three laws of cutting: into single tokens, into two parts, and before what comes later. */
export function sequenceLaws({ sequence, step, state }: SequenceOp): Law[] {
  const inputs = INPUTS[sequence] as unknown as fc.Arbitrary<Drawn<Input>>;
  // a call for every token; no step has chunks
  const short = inputs.filter(({ input }) => input.x.shape[1] <= 9);
  const cut = withDim(inputs, 'cut', size(9, 0));
  return [
    law(step, 'repeated, gives the whole sequence', short, async (subject, input) => {
      const run = runOf(subject);
      const whole = await run(sequence, input);
      const same = await sameness(subject, sequence, input, whole);
      const outputs: Tensor[] = [];
      let carried = input[state] ?? zerosLike(whole[state]);
      for (let t = 0; t < input.x.shape[1]; t++) {
        const token = takeTokens(input, t, t + 1, 'step');
        const one = await run(step, { ...token, [state]: carried });
        outputs.push(withTokenAxis(one.y));
        carried = one[state];
      }
      return same({ y: joinTokens(outputs), [state]: carried });
    }),

    law(sequence, 'goes on from a saved state as if never cut', cut, async (subject, input) => {
      const run = runOf(subject);
      const whole = await run(sequence, input);
      const same = await sameness(subject, sequence, input, whole);
      const seqlen = input.x.shape[1];
      const at = Math.min(input.cut, seqlen);
      const first = await run(sequence, takeTokens(input, 0, at));
      const later = { ...takeTokens(input, at, seqlen), [state]: first[state] };
      const rest = await run(sequence, later);
      return same({ ...rest, y: joinTokens([first.y, rest.y]) });
    }),

    law(sequence, 'never looks ahead', cut, async (subject, input) => {
      const run = runOf(subject);
      const at = Math.min(input.cut, input.x.shape[1]);
      const before = await run(sequence, input);
      const after = await run(sequence, changed(input, tokenTensors(input), at));
      const same = await sameness(subject, sequence, input, before);
      return same(takeTokens({ y: after.y }, 0, at), (all) => takeTokens(all, 0, at));
    }),
  ];
}
