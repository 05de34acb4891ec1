/** Reads the parts of an answer as an expression: numbers, fractions, roots, powers, letters and brackets. */

import {
  addSums,
  atom,
  constant,
  formatSum,
  multiplySums,
  negate,
  powerOfSum,
  rationalOf,
  rootOfSum,
  type Sum,
} from './algebra.ts';
import type { Token } from './answerTokens.ts';
import { add, invert, multiply, NO_VALUE, parseDecimal, type Rational } from './rational.ts';
import { isUnit, startsUnit } from './units.ts';

const MOST_DEPTH = 40;
const LARGEST_POWER = 10_000;

const FUNCTIONS = new Set(['\\sin', '\\cos', '\\tan', '\\log', '\\ln', '\\exp']);
const CONSTANTS = new Set(
  (
    '\\pi \\infty \\alpha \\beta \\gamma \\delta \\epsilon \\theta \\lambda \\mu \\phi \\rho \\sigma \\tau ' +
    '\\omega \\emptyset'
  ).split(' '),
);

/** The value of some parts; undefined when they are no expression, or one too large to work out. */
export function algebraOf(tokens: readonly Token[]): Sum | undefined {
  const parser = new Parser(tokens);
  try {
    return parser.all();
  } catch (cause) {
    if (cause !== NO_VALUE) throw cause;
    return undefined;
  }
}

class Parser {
  private at = 0;
  private depth = 0;
  private readonly tokens: readonly Token[];

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  all(): Sum {
    const sum = this.sum();
    if (this.at < this.tokens.length) throw NO_VALUE;
    return sum;
  }

  private get next(): Token | undefined {
    return this.tokens[this.at];
  }

  private takes(symbol: string): boolean {
    if (this.next?.text !== symbol) return false;
    this.at++;
    return true;
  }

  private expect(symbol: string): void {
    if (!this.takes(symbol)) throw NO_VALUE;
  }

  private sum(): Sum {
    if (++this.depth > MOST_DEPTH) throw NO_VALUE;
    let sum = this.signed(() => this.product());
    for (;;) {
      if (this.takes('+')) sum = addSums(sum, this.product());
      else if (this.takes('-')) sum = addSums(sum, negate(this.product()));
      else break;
    }
    this.depth--;
    return sum;
  }

  private signed(read: () => Sum): Sum {
    if (this.takes('-')) return negate(read());
    this.takes('+');
    return read();
  }

  private product(): Sum {
    let product = this.mixed() ?? this.power();
    for (;;) {
      if (this.takes('*'))
        product = multiplySums(
          product,
          this.signed(() => this.power()),
        );
      else if (this.takes('/')) {
        product = multiplySums(
          product,
          powerOfSum(
            this.signed(() => this.power()),
            -1,
          ),
        );
      } else if (this.continues()) product = multiplySums(product, this.power());
      else return product;
    }
  }

  /** Whether a factor follows without a sign: `2x`, `3\pi`, `x(x+1)`; two letters only side by side. */
  private continues(): boolean {
    const { next } = this;
    if (!next || next.kind === 'number') return false;
    if (next.kind === 'symbol') return next.text === '(' || next.text === '{';
    if (next.kind === 'command') return true;
    const before = this.tokens[this.at - 1]?.kind;
    return before === 'number' ? !startsUnit(next) : !(next.isSpaced && before === 'word');
  }

  /** `1 1/2` and `1\frac{1}{2}`: a whole number and a fraction. */
  private mixed(): Sum | undefined {
    const { at } = this;
    const [whole, second, slash, third] = this.tokens.slice(at, at + 4);
    if (!isWhole(whole)) return undefined;
    const afterwards = this.tokens[at + 4]?.text;
    if (isWhole(second) && slash?.text === '/' && isWhole(third) && afterwards !== '^') {
      this.at += 4;
      const part = multiply(parseDecimal(second.text), invert(parseDecimal(third.text)));
      return constant(add(parseDecimal(whole.text), part));
    }
    if (second?.text !== '\\frac') return undefined;
    this.at++;
    const part = rationalOf(this.power());
    if (part) return constant(add(parseDecimal(whole.text), part));
    this.at = at;
    return undefined;
  }

  private power(): Sum {
    const base = this.base();
    if (!this.takes('^')) return base;
    const exponent = this.exponent();
    if (this.next?.text === '^') throw NO_VALUE;
    const number = rationalOf(exponent);
    if (number?.d === 1n) return powerOfSum(base, smallWhole(number));
    if (number?.d === 2n) {
      const root = rootOfSum(base);
      if (root) return powerOfSum(root, smallWhole({ n: number.n, d: 1n }));
    }
    return atom(`((${formatSum(base)})^{${formatSum(exponent)}})`);
  }

  private exponent(): Sum {
    if (this.next?.text === '{') return this.group();
    return this.signed(() => this.power());
  }

  private group(close = '}'): Sum {
    this.at++;
    const sum = this.sum();
    this.expect(close);
    return sum;
  }

  private base(): Sum {
    const token = this.next;
    if (token?.kind === 'number') {
      this.at++;
      return constant(parseDecimal(token.text));
    }
    if (token?.kind === 'word') return this.letters(token);
    if (token?.kind === 'command') return this.command(token.text);
    if (token?.text === '(') return this.group(')');
    if (token?.text === '{') return this.group();
    throw NO_VALUE;
  }

  private letters(token: Token): Sum {
    const { text } = token;
    const before = this.tokens[this.at - 1];
    this.at++;
    if (text.length === 1) return atom(`${text}${this.subscript()}`);
    // a short word right after digits is a product of letters, as is one of x, y and z
    const isShort = text.length <= 3 && /^[a-zA-Z]+$/.test(text) && !token.isText;
    const isGlued = before?.kind === 'number' && !token.isSpaced;
    if (!isShort || isUnit(text) || !(isGlued || /^[xyz]+$/.test(text))) throw NO_VALUE;
    const all = [...text].map((letter) => atom(letter));
    const last = all.pop() as Sum;
    const rest = all.reduce(multiplySums);
    if (!this.takes('^')) return multiplySums(rest, last);
    const number = rationalOf(this.exponent());
    if (number?.d !== 1n) throw NO_VALUE;
    return multiplySums(rest, powerOfSum(last, smallWhole(number)));
  }

  private subscript(): string {
    if (!this.takes('_')) return '';
    const isBraced = this.takes('{');
    const token = this.next;
    if (token?.kind !== 'number' && token?.kind !== 'word') throw NO_VALUE;
    this.at++;
    if (isBraced) this.expect('}');
    return `_{${token.text}}`;
  }

  private command(name: string): Sum {
    this.at++;
    if (name === '\\frac') {
      const top = this.argument();
      return multiplySums(top, powerOfSum(this.argument(), -1));
    }
    if (name === '\\sqrt') return this.root();
    if (CONSTANTS.has(name)) return atom(name);
    if (!FUNCTIONS.has(name)) throw NO_VALUE;
    const { next } = this;
    const isLetter = next?.kind === 'word' || (next && CONSTANTS.has(next.text));
    if (!isLetter && next?.text !== '(' && next?.text !== '{') throw NO_VALUE;
    return atom(`${name}(${formatSum(this.base())})`);
  }

  private root(): Sum {
    if (this.next?.text === '[') {
      const index = rationalOf(this.group(']'));
      if (index?.d !== 1n || index.n < 2n) throw NO_VALUE;
      const inside = this.argument();
      if (index.n !== 2n) return atom(`\\sqrt[${index.n}]{${formatSum(inside)}}`);
      return rootOfSum(inside) ?? atom(`\\sqrt{${formatSum(inside)}}`);
    }
    const inside = this.argument();
    return rootOfSum(inside) ?? atom(`\\sqrt{${formatSum(inside)}}`);
  }

  private argument(): Sum {
    return this.base();
  }
}

function isWhole(token: Token | undefined): token is Token {
  return token?.kind === 'number' && !/[.e]/.test(token.text);
}

function smallWhole({ n }: Rational): number {
  if (n > LARGEST_POWER || n < -LARGEST_POWER) throw NO_VALUE;
  return Number(n);
}
