/** Answers: found in a text by each rule, one form for all spellings. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { areSameAnswer, canonicalAnswer } from '../lib/reasoning/canonicalAnswer.ts';
import {
  ANSWER_RULES,
  type AnswerRule,
  extractAnswer,
  MATH_RULES,
  TASK_RULES,
} from '../lib/reasoning/extractAnswer.ts';
import { createTask, TASKS } from '../lib/tasks/catalogue.ts';
import { answerOf } from '../lib/tasks/steps.ts';
import { RUNS, SEED } from './support.ts';

const options = { seed: SEED, numRuns: RUNS };

/** Parts that answers are made of, put together at random: more of a test than random characters. */
const PARTS = (
  '0 1 2 12 0.50 .5 1,000 3. 1e3 -3 + - * / ^ ( ) [ ] { } \\{ \\} , ; = < x y a b pi m kg cm apples Yes and ' +
  'million twelve \\frac \\frac12 \\frac{1}{2} \\sqrt \\sqrt{8} \\sqrt[3] \\pi \\text{cm} \\left \\right \\, \\! \\$ $ % ' +
  '\\% \\boxed{ _ _1 ! | & \\\\ ^\\circ \\infty \\cup \\sin . : " ** × ½ √ \u200b \ud800 é 是 __proto__ #'
).split(' ');
const messy = fc
  .array(fc.tuple(fc.constantFrom(...PARTS), fc.constantFrom('', ' ')), { maxLength: 12 })
  .map((parts) => parts.flat().join(''));
const anyText = fc.oneof(messy, fc.string({ unit: 'binary' }), fc.string());

describe('canonicalAnswer', () => {
  it('is its own form', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const form = canonicalAnswer(text);
        expect(canonicalAnswer(form)).toBe(form);
      }),
      { ...options, numRuns: 10 * RUNS },
    );
  });

  it('the same number has one form, however it is written', () => {
    const number = fc.tuple(
      fc.bigInt({ min: -(10n ** 12n), max: 10n ** 12n }),
      fc.integer({ min: 0, max: 6 }),
    );
    fc.assert(
      fc.property(number, fc.integer({ min: 1, max: 99 }), ([n, places], k) => {
        const scale = 10n ** BigInt(places);
        const size = n < 0n ? -n : n;
        const part = places > 0 ? `.${String(size % scale).padStart(places, '0')}` : '';
        const whole = String(size / scale);
        const grouped = BigInt(whole).toLocaleString('en-US');
        const [top, bottom] = [size * BigInt(k), scale * BigInt(k)];
        const spellings = [
          ...[`${whole}${part}`, `${grouped}${part}`, `${whole}${part || '.'}000`],
          ...[`$${whole}${part}`, `${whole}${part}\\%`, `€ ${grouped}${part}`],
          ...[`${whole}${part} apples`, `${whole}${part}\\text{ cm}`, `\\boxed{${whole}${part}}`],
          ...[`${top}/${bottom}`, `\\frac{${top}}{${bottom}}`, `\\dfrac{${top}}{${bottom}}`],
          ...[`${size}e-${places}`, `${size} \\times 10^{-${places}}`],
          ...(size % scale > 0n ? [`${whole} ${size % scale}/${scale}`] : []),
        ];
        const signs = n < 0n ? ['-', '\u2212', '- '] : ['', '+', ' '];
        const forms = signs.flatMap((sign) =>
          spellings.map((text) => canonicalAnswer(sign + text)),
        );
        expect([...new Set(forms)]).toEqual([canonicalAnswer(`${n}/${scale}`)]);
        expect([...new Set(forms.map((form) => areSameAnswer(`x = ${form}`, form)))]).toEqual([
          true,
        ]);
      }),
      options,
    );
  });

  it('different numbers have different forms', () => {
    const fraction = fc.tuple(fc.integer({ min: -500, max: 500 }), fc.integer({ min: 1, max: 60 }));
    fc.assert(
      fc.property(fraction, fraction, ([a, b], [c, d]) => {
        expect(areSameAnswer(`${a}/${b}`, `\\frac{${c}}{${d}}`)).toBe(a * d === c * b);
      }),
      { ...options, numRuns: 10 * RUNS },
    );
  });

  it('sums and products do not depend on their order', () => {
    const factor = fc.constantFrom('x', 'y', '3', '\\pi', '\\sqrt{2}', '(x+1)', '\\frac{1}{2}');
    fc.assert(
      fc.property(
        fc.array(fc.array(factor, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 4 }),
        (terms) => {
          const forwards = terms.map((term) => term.join('*')).join('+');
          const backwards = terms
            .map((term) => term.toReversed().join('\\cdot '))
            .toReversed()
            .join(' + ');
          expect(canonicalAnswer(backwards)).toBe(canonicalAnswer(forwards));
        },
      ),
      options,
    );
  });

  it.each([
    ['2\\sqrt{8}', '4\\sqrt2', '\\frac{8}{\\sqrt{2}}', '√32'],
    ['\\frac{\\pi}{2}', '\\pi/2', 'π/2', '\\frac12\\pi'],
    ['x^2+2x+1', '(x+1)^2', '1 + 2x + x^{2}', '(1+x)(x+1)'],
    ['(1, 2)', '\\left(1,2\\right)', '( 1.0 , 4/2 )'],
    ['\\{3, 1\\}', '\\{1,3\\}', '\\left\\{ 1, 3.0 \\right\\}'],
    ['Yes', 'yes.', '**YES**', '\\text{yes}'],
    ['(B)', 'B', '\\text{B}', '\\mathrm{(B)}.'],
    ['1,800,000', '1.8 million', '1.8 million dollars', '18 \\times 10^5'],
    [
      '42',
      'forty-two',
      '42.',
      '42 km/h',
      '42 m^2',
      '42\\text{ m}^2',
      '42kg',
      '42^\\circ',
      '4\u200b2',
    ],
    ['1024', '2^{10}', '2^10', '1,024', '1{,}024', '1\\,024', '１０２４'],
    ['x \\in [0, 1]', '[0,1]'],
  ])('%s has other spellings', (...spellings) => {
    expect([...new Set(spellings.map(canonicalAnswer))]).toHaveLength(1);
  });

  it.each([
    ['12, 345', '12,345'],
    ['4 0 7', '407'],
    ['a b', 'b a'],
    ['no', 'on'],
    ['0.333', '1/3'],
    ['5 and a half', '5'],
    ['5 pm', '5 am'],
    ['-1.8 billion', '2'],
    ['5!', '5'],
    ['(0,1)', '(0,1]'],
    ['(1,2)', '(2,1)'],
    ['\\sin x \\cos y', '\\sin y \\cos x'],
    ['10^10^10', '10^10^11'],
    ['1/0', '2/0'],
    ['', '0'],
    ['__proto__', 'constructor'],
  ])('%s is not %s', (a, b) => {
    expect(areSameAnswer(a, b)).toBe(false);
  });

  it('a power is not computed that has more than 1,200 digits', () => {
    expect(canonicalAnswer('10^{1000}')).toHaveLength(1001);
    expect(canonicalAnswer('10^10^10')).toBe('10^10^10');
    expect(canonicalAnswer('(((9^9)^9)^9)^9')).toContain('^');
  });
});

describe('extractAnswer', () => {
  const answers = fc
    .tuple(fc.bigInt({ min: -(10n ** 9n), max: 10n ** 9n }), fc.constantFrom('', '.5', '.25'))
    .map(([whole, part]) => `${whole}${part}`);
  const before = fc.array(
    fc.constantFrom('so', 'we', '3', '+', '4', '=', '7', ';', '\n', 'A', '{', '}', '$5'),
    { maxLength: 9 },
  );
  const put: Record<AnswerRule, (answer: string) => string[]> = {
    hash: (answer) => [`#### ${answer}`, `####${answer}\n`, `# ${answer}`],
    answerLine: (answer) => [
      `\nA: ${answer}`,
      `\nAnswer: ${answer}\nbye`,
      `\n**Final Answer:** ${answer}`,
    ],
    boxed: (answer) => [`$\\boxed{${answer}}$`, `\\boxed ${answer}`, `\\fbox{${answer}}, or so {`],
    phrase: (answer) => [
      `The answer is ${answer}.`,
      `the final answer is: $${answer}$. I hope`,
      `The answer is **${answer}**!`,
    ],
    lastNumber: (answer) => [`= ${answer}`, `it costs ${answer} dollars.`],
  };

  it.each(ANSWER_RULES)('%s finds what was put in', (rule) => {
    fc.assert(
      fc.property(before, answers, (words, answer) => {
        for (const form of put[rule](answer)) {
          const text = `${words.join(' ')} ${form}`;
          expect(extractAnswer(text, { rules: [rule] }), text).toBe(answer);
        }
      }),
      options,
    );
  });

  it('the first rule of the order that finds something decides', () => {
    const text = 'The answer is 1.\n\\boxed{2} 3\nA: 4\n#### 5';
    expect(ANSWER_RULES.map((rule) => extractAnswer(text, { rules: [rule] }))).toEqual([
      '5',
      '4',
      '2',
      '1',
      '5',
    ]);
    expect(extractAnswer(text)).toBe('5');
    expect(extractAnswer(text, { rules: MATH_RULES })).toBe('2');
    expect(extractAnswer('nothing')).toBeNull();
    expect(extractAnswer('')).toBeNull();
    expect(extractAnswer('A: $\\boxed{\\frac{1}{2}}$')).toBe('\\frac{1}{2}');
  });

  it.each([
    ['# Solution\nWe add 2 and 3. \\boxed{5}', '5'],
    ['#### Step 1\nThe answer is 5. Bye', '5'],
    ['\\boxed{4} and then \\boxed{5', '4'],
    ['\\boxed{\\left\\{1, 2\\right.}', '\\left\\{1, 2\\right.'],
    ['the answer is $18 and $20 more', '$18 and $20 more'],
    ['from 10-5 to 3/4', '3/4'],
    ['on 10/12/2020', '2020'],
    ['about -1,234.5.', '-1,234.5'],
    ['as small as 2e-5', '2e-5'],
    ['x = \u22127', '\u22127'],
  ])('%j gives %s', (text, answer) => {
    expect(extractAnswer(text)).toBe(answer);
  });

  it('a rule that does not exist is refused', () => {
    const rules = ['__proto__' as AnswerRule];
    expect(() => extractAnswer('4', { rules })).toThrow(
      /^extractAnswer: rules: expected some of hash, .* got __proto__/,
    );
  });

  it.each(Object.keys(TASKS))(
    '%s: the chain gives its answer, as the task itself reads it',
    (name) => {
      const task = createTask(name);
      for (let i = 0; i < 20; i++) {
        const { chain, answer } = task.problem(SEED, i);
        expect(extractAnswer(chain, { rules: TASK_RULES })).toBe(answer);
        const twice = `${chain} ; # ${answer}`;
        expect(extractAnswer(twice, { rules: TASK_RULES }) ?? undefined).toBe(answerOf(twice));
        const other = task.problem(SEED, i + 1).answer;
        expect(areSameAnswer(answer, other)).toBe(answer === other);
      }
    },
  );
});
