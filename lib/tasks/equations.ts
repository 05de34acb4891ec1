/** Steps of arithmetic: `3 + 4 = 7 ;`, with whole numbers of any length. */

import { CONCLUSION, STEP_END, type StepForm } from './steps.ts';

/** A step that says what two or three numbers make. */
export function equation(left: string, value: number | string): string {
  return `${left} = ${value} ${STEP_END}`;
}

/** Steps and the conclusion as one chain. */
export function chainOf(steps: readonly string[], answer: string): string {
  return [...steps, `${CONCLUSION} ${answer}`].join(' ');
}

const EQUATION = /^[0-9]{1,200}(?: [-+*/] [0-9]{1,200}){1,2} = [0-9]{1,200} ;$/;
const ANSWER = /^# [0-9]{1,400}$/;

/** What a step is by itself. Products and quotients come before sums and differences. */
export function formOfEquation(step: string): StepForm {
  if (ANSWER.test(step)) return 'true';
  if (!EQUATION.test(step)) return 'malformed';
  const words = step.split(' ');
  const at = words.indexOf('=');
  return worth(words.slice(0, at)) === BigInt(words[at + 1]) ? 'true' : 'untrue';
}

/** What numbers are worth with operators between them; undefined for a quotient that is not whole. */
function worth(words: readonly string[]): bigint | undefined {
  let sum = 0n;
  let term = BigInt(words[0]);
  for (let i = 1; i < words.length; i += 2) {
    const number = BigInt(words[i + 1]);
    if (words[i] === '*') term *= number;
    else if (words[i] === '/') {
      if (number === 0n || term % number !== 0n) return undefined;
      term /= number;
    } else {
      sum += term;
      term = words[i] === '-' ? -number : number;
    }
  }
  return sum + term;
}
