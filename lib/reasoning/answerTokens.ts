/** The parts of an answer: numbers, words, LaTeX commands and symbols; what is only layout is left out. */

/** One part. */
export interface Token {
  readonly kind: 'number' | 'word' | 'command' | 'symbol';
  /** Digits without separators (`1000`, `0.5`), letters, `\name`, or the symbol. */
  readonly text: string;
  /** As it was written, for a number with its separators. */
  readonly written: string;
  /** Whether there is space before it. */
  readonly isSpaced: boolean;
  /** Whether it stands in `\text{…}` or the like. */
  readonly isText: boolean;
}

/** Commands that only lay out, and leave nothing. */
const LAYOUT = new Set(
  'left right big Big bigg Bigg bigl bigr displaystyle textstyle limits circ degree boxed fbox'.split(
    ' ',
  ),
);
/** Commands and signs that leave space. */
const SPACES = new Set(['quad', 'qquad', 'enspace', ' ', ',', ';', ':', '~']);
/** Commands whose argument is text, or letters upright or bold. */
const TEXTS = new Set(
  'text textbf textit textrm texttt mathrm mathbf mathit mbox hbox operatorname bold'.split(' '),
);
/** Commands with a shorter spelling. */
const SAME: Readonly<Record<string, string>> = Object.assign(Object.create(null), {
  ...{ dfrac: '\\frac', tfrac: '\\frac', cfrac: '\\frac', neq: '\\ne', leq: '\\le', geq: '\\ge' },
  ...{ times: '*', cdot: '*', ast: '*', div: '/', lbrace: '\\{', rbrace: '\\}' },
  ...{ lvert: '|', rvert: '|', vert: '|', rightarrow: '\\to', varnothing: '\\emptyset' },
});
/** Words that mean a command. */
const NAMES: Readonly<Record<string, string>> = Object.assign(Object.create(null), {
  ...{ pi: '\\pi', sqrt: '\\sqrt', inf: '\\infty', infinity: '\\infty' },
  ...{ sin: '\\sin', cos: '\\cos', tan: '\\tan', log: '\\log', ln: '\\ln' },
});

const isDigit = (c: string | undefined) => c !== undefined && c >= '0' && c <= '9';
const isLetter = (c: string | undefined) =>
  c !== undefined && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c > '\x7f');
const isAsciiLetter = (c: string | undefined) => isLetter(c) && (c as string) <= '\x7f';

/** The parts of a text whose characters are plain. Each character is read a bounded number of times. */
export function tokensOf(text: string): Token[] {
  return new Reader(text).read();
}

class Reader {
  private readonly tokens: Token[] = [];
  private at = 0;
  private isSpaced = false;
  /** Brackets that are open: between them a comma separates. */
  private brackets = 0;
  /** The open braces: whether they hold text, and whether they are only those of a `\text`. */
  private readonly braces: { isText: boolean; isLayout: boolean }[] = [];
  /** Digits that are arguments of a `\frac` without braces. */
  private digits = 0;
  private readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  read(): Token[] {
    while (this.at < this.text.length) this.step();
    return this.tokens;
  }

  private get isText(): boolean {
    return this.braces.at(-1)?.isText ?? false;
  }

  private put(kind: Token['kind'], text: string, written = text): void {
    const { isSpaced, isText } = this;
    this.tokens.push({ kind, text, written, isSpaced, isText });
    this.isSpaced = false;
  }

  private step(): void {
    const c = this.text[this.at];
    const next = this.text[this.at + 1];
    if (isDigit(c) || (c === '.' && isDigit(next))) this.number();
    else {
      this.digits = 0;
      if (c === '\\') this.command();
      else if (isLetter(c)) this.word();
      else this.sign(c, next);
    }
  }

  private sign(c: string, next: string | undefined): void {
    this.at++;
    // ^\circ: the command leaves nothing, and the power with it
    if (c === '^' && this.skips('\\circ', '{\\circ}', ' \\circ', '{\\degree}', '\\degree')) return;
    if (c === ' ' || c === '~') this.isSpaced = true;
    else if (c === '{') {
      this.put('symbol', '{');
      this.braces.push({ isText: this.isText, isLayout: false });
    } else if (c === '}') {
      if (this.braces.pop()?.isLayout) this.isSpaced = true;
      else this.put('symbol', '}');
    } else if (c === '*' && next === '*') {
      this.at++;
      this.put('symbol', '^', '**');
    } else if (c !== '$' && c !== '%') {
      if (c === '(' || c === '[') this.brackets++;
      if (c === ')' || c === ']') this.brackets--;
      this.put('symbol', c);
    }
  }

  /** Passes over one of some spellings. */
  private skips(...spellings: string[]): boolean {
    const found = spellings.find((spelling) => this.text.startsWith(spelling, this.at));
    if (found === undefined) return false;
    this.at += found.length;
    return true;
  }

  private word(): void {
    const from = this.at;
    while (isLetter(this.text[this.at])) this.at++;
    const word = this.text.slice(from, this.at);
    const name = this.isText ? undefined : NAMES[word.toLowerCase()];
    if (name) this.put('command', name, word);
    else this.put('word', word);
  }

  private command(): void {
    const from = ++this.at;
    while (isAsciiLetter(this.text[this.at])) this.at++;
    if (this.at === from) this.at++;
    const name = this.text.slice(from, this.at);
    if (name.length > 1 || isLetter(name)) while (this.text[this.at] === ' ') this.at++;
    if (SPACES.has(name)) this.isSpaced = true;
    else if (TEXTS.has(name) && this.text[this.at] === '{') {
      this.at++;
      this.isSpaced = true;
      this.braces.push({ isText: true, isLayout: true });
    } else if (['$', '%', '!', '(', ')', '[', ']', ''].includes(name) || LAYOUT.has(name)) return;
    else if (name === '{' || name === '}') {
      this.brackets += name === '{' ? 1 : -1;
      this.put('symbol', `\\${name}`);
    } else {
      const same = SAME[name] ?? `\\${name}`;
      this.put(same[0] === '\\' && isLetter(same[1]) ? 'command' : 'symbol', same, `\\${name}`);
      if (same === '\\frac' && isDigit(this.text[this.at])) this.digits = 2;
    }
  }

  private number(): void {
    const from = this.at;
    if (this.digits > 0 && isDigit(this.text[from])) {
      this.digits--;
      this.at++;
      this.put('number', this.text[from]);
      return;
    }
    let digits = this.run();
    let isGrouped = digits.length > 0 && digits.length <= 3;
    for (let width = this.separator(); isGrouped && width > 0; width = this.separator()) {
      this.at += width;
      digits += this.run();
    }
    if (this.text[this.at] === '.') {
      this.at++;
      isGrouped = false;
      const part = this.run();
      digits = `${digits || '0'}${part && `.${part}`}`;
    }
    digits += this.exponent();
    this.put('number', digits, this.text.slice(from, this.at));
  }

  private run(): string {
    const from = this.at;
    while (isDigit(this.text[this.at])) this.at++;
    return this.text.slice(from, this.at);
  }

  /** Width of a separator of thousands here: one that exactly three digits follow. */
  private separator(): number {
    const spellings = ['{,}', ',\\!', '\\,', ...(this.brackets > 0 ? [] : [','])];
    const found = spellings.find((spelling) => this.text.startsWith(spelling, this.at));
    if (found === undefined) return 0;
    const after = this.at + found.length;
    const isGroup = [0, 1, 2].every((i) => isDigit(this.text[after + i]));
    return isGroup && !isDigit(this.text[after + 3]) ? found.length : 0;
  }

  /** `e-3` and the like, if no letter follows. */
  private exponent(): string {
    if (this.text[this.at]?.toLowerCase() !== 'e') return '';
    const from = this.at;
    this.at++;
    const sign = '+-'.includes(this.text[this.at] ?? ' ') ? this.text[this.at++] : '';
    const digits = this.run();
    if (digits !== '' && !isLetter(this.text[this.at])) return `e${sign}${digits}`;
    this.at = from;
    return '';
  }
}
