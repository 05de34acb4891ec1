/** What is said after a number: units, things that are counted, and words for large numbers. */

import type { Token } from './answerTokens.ts';
import type { Rational } from './rational.ts';

const words = (text: string) => new Set(text.split(' '));

/** Units that may stand right after the digits. Upstream's list (Qwen2.5-Math) has more; longer words need none. */
const ABBREVIATIONS = words(
  'mm cm dm km nm in ft yd mi kg mg lb lbs oz gm ml dl kl hr hrs min sec ms mph kmh kph kw kb mb gb tb ' +
    'cc sq cu pts pt qt gal deg rad st nd rd th usd eur gbp rs mtr yr yrs mo pcs hz khz mhz mol rpm',
);
/** Units of one letter, after a space. */
const LETTERS = words('m g s h l L');
/** Words with which a number is not yet all that is said. */
const OTHER = words(
  'and or to not am pm over plus minus times divided squared cubed mod choose factorial by if when ' +
    'where for base but only iff',
);
const SCALES: ReadonlyMap<string, bigint> = new Map([
  ['hundred', 100n],
  ['thousand', 1000n],
  ['million', 1_000_000n],
  ['billion', 1_000_000_000n],
  ['trillion', 1_000_000_000_000n],
  ['dozen', 12n],
]);
const SMALL =
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen ' +
  'seventeen eighteen nineteen';
const NUMBERS: ReadonlyMap<string, number> = new Map([
  ...SMALL.split(' ').map((word, i): [string, number] => [word, i]),
  ...'twenty thirty forty fifty sixty seventy eighty ninety'
    .split(' ')
    .map((word, i): [string, number] => [word, 20 + 10 * i]),
]);

/** A number's worth of what follows it. */
export interface Unit {
  /** Where it starts among the parts. */
  readonly from: number;
  /** What the number is multiplied with: 1,000,000 in `2 million dollars`. */
  readonly scale: Rational;
}

/** The unit at the end of some parts; undefined when there is none, or something else is said there. */
export function unitOf(tokens: readonly Token[]): Unit | undefined {
  const from = tokens.findIndex((token, i) => i > 0 && startsUnit(token));
  if (from < 0) return undefined;
  let scale = 1n;
  let at = from;
  for (; tokens[at]?.kind === 'word'; at++) {
    const factor = SCALES.get(tokens[at].text.toLowerCase());
    if (factor === undefined) break;
    scale *= factor;
  }
  // more than any such words say
  if (at - from > 3) return undefined;
  for (; at < tokens.length; at++) if (!isOfUnit(tokens[at], tokens[at - 1])) return undefined;
  return { from, scale: { n: scale, d: 1n } };
}

/** Whether a word after a number is a unit, and not letters that it is multiplied with. */
export function startsUnit({ kind, text, isSpaced, isText }: Token): boolean {
  if (kind !== 'word') return false;
  if (text.length === 1) return isText || (isSpaced && LETTERS.has(text));
  return isSpaced || text.length > 3 || isUnit(text);
}

/** Words, and `km/h`, `m^2`, `sq. ft`, `m^{2}`. */
function isOfUnit(token: Token, before: Token): boolean {
  if (token.kind === 'word') {
    const word = token.text.toLowerCase();
    return !OTHER.has(word) && !NUMBERS.has(word) && !SCALES.has(word);
  }
  if (token.kind === 'number') return before.text === '^' || before.text === '{';
  return token.kind === 'symbol' && ['/', '^', '{', '}', '-', '.', "'"].includes(token.text);
}

/** Whether a word is a unit wherever it stands. */
export function isUnit(word: string): boolean {
  return ABBREVIATIONS.has(word.toLowerCase());
}

/** The number that words say, below 100: `twelve`, `forty-two`. */
export function numberInWords(tokens: readonly Token[]): number | undefined {
  const said = tokens.filter(({ text }) => text !== '-');
  if (said.length < 1 || said.length > 2) return undefined;
  const [first, second = 0] = said.map(({ text }) => NUMBERS.get(text.toLowerCase()) ?? -1);
  if (first < 0 || second < 0) return undefined;
  if (said.length === 1) return first;
  return first >= 20 && second > 0 && second < 10 ? first + second : undefined;
}
