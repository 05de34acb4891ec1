/** The characters of an answer, in one spelling each. */

/** An answer in a text that is longer than this is none. */
export const LONGEST_ANSWER = 20_000;
/** An answer longer than this is compared as it is written. */
export const MOST_CHARACTERS = 1000;

/** Characters that have a spelling in ASCII or LaTeX. The space ends a command's name. */
const SPELLINGS: Readonly<Record<string, string>> = Object.assign(Object.create(null), {
  ...{ '−': '-', '‐': '-', '‑': '-', '‒': '-', '–': '-', '—': '-', '﹣': '-', '⁻': '^-' },
  ...{ '×': '\\times ', '·': '\\cdot ', '⋅': '\\cdot ', '∙': '\\cdot ', '∗': '*' },
  ...{ '÷': '/', '∕': '/', '⁄': '/', '²': '^2', '³': '^3' },
  ...{ π: '\\pi ', θ: '\\theta ', α: '\\alpha ', β: '\\beta ', λ: '\\lambda ' },
  ...{ '√': '\\sqrt ', '∞': '\\infty ', '°': '\\circ ', º: '\\circ ', '±': '\\pm ' },
  ...{ '≤': '\\le ', '≥': '\\ge ', '≠': '\\ne ', '≈': '\\approx ', '∈': '\\in ' },
  ...{ '∪': '\\cup ', '∩': '\\cap ', '∅': '\\emptyset ', '→': '\\to ' },
  ...{ '½': ' 1/2 ', '⅓': ' 1/3 ', '⅔': ' 2/3 ', '¼': ' 1/4 ', '¾': ' 3/4 ', '⅕': ' 1/5 ' },
  ...{ '⅖': ' 2/5 ', '⅗': ' 3/5 ', '⅘': ' 4/5 ', '⅙': ' 1/6 ', '⅚': ' 5/6 ', '⅛': ' 1/8 ' },
  ...{ '⅜': ' 3/8 ', '⅝': ' 5/8 ', '⅞': ' 7/8 ' },
  ...{ '‘': "'", '’': "'", '“': '"', '”': '"', '′': "'" },
});

/** Whether a text takes no part in comparing more than letter by letter. */
export function isTooLong(text: string): boolean {
  return text.length > MOST_CHARACTERS;
}

/**
 * A short text with one spelling for each character: dashes and signs of arithmetic in ASCII or LaTeX, full-width
 * forms in ASCII, single plain spaces; no control characters, no characters without width, no signs of currency
 * but `$`. Well-formed Unicode, composed.
 */
export function plainCharacters(text: string): string {
  let plain = '';
  for (const character of text) {
    const next = plainCharacter(character);
    if (next === ' ' && (plain === '' || plain.endsWith(' '))) continue;
    plain += next;
  }
  return plain.normalize('NFC').trim();
}

function plainCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code > 32 && code < 127) return character;
  if (isSpace(code)) return ' ';
  if (isUnseen(code)) return '';
  // full-width forms of ASCII
  if (code >= 0xff01 && code <= 0xff5e) return String.fromCharCode(code - 0xfee0);
  if ((code >= 0xa2 && code <= 0xa5) || (code >= 0x20a0 && code <= 0x20cf)) return '';
  // half of a surrogate pair
  if (code >= 0xd800 && code <= 0xdfff) return '\ufffd';
  return SPELLINGS[character] ?? character;
}

/** Spaces of every width, and ends of lines. */
export function isSpace(code: number): boolean {
  if (code === 32 || (code >= 9 && code <= 13) || code === 0xa0) return true;
  if (code < 0x1680) return code === 0x85;
  return (
    (code >= 0x2000 && code <= 0x200a) ||
    [0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000].includes(code)
  );
}

/** Control characters, marks of direction, joiners, variation selectors: nothing that one sees. */
function isUnseen(code: number): boolean {
  if (code < 32 || (code >= 0x7f && code < 0xa0) || code === 0xad) return true;
  if (code < 0x180b) return code === 0x61c;
  return (
    (code >= 0x200b && code <= 0x200f) ||
    (code >= 0x202a && code <= 0x202e) ||
    (code >= 0x2060 && code <= 0x206f) ||
    (code >= 0xfe00 && code <= 0xfe0f) ||
    (code >= 0x180b && code <= 0x180e) ||
    code === 0xfeff
  );
}
