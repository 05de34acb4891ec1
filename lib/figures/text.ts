/** Text of figures: any string stays text, and none is wider than its place. */

/** Longer texts are cut, wherever they stand. */
const MOST_CHARACTERS = 400;

/**
 * A text that XML can hold, on one line: control characters, lone surrogates and noncharacters, which XML forbids even
 * when escaped, become U+FFFD; white space becomes one space. At most 400 characters.
 */
export function plainText(text: string): string {
  const cut = text.slice(0, 4 * MOST_CHARACTERS).replace(/\s+/gu, ' ');
  return [...cut]
    .slice(0, MOST_CHARACTERS)
    .join('')
    .replace(/[\p{Cc}\p{Surrogate}\uFFFE\uFFFF]/gu, '\uFFFD');
}

/** Roughly how wide a text is in DejaVu Sans, in units of the size's: rather too wide than too narrow. */
export function textWidth(text: string, size: number): number {
  let ems = 0;
  for (const character of text) ems += widthOf(character);
  return ems * size;
}

function widthOf(character: string): number {
  if (/[ijlI.,:;'|!]/.test(character)) return 0.33;
  if (/[\stfr()[\]/\\-]/.test(character)) return 0.41;
  if (/[cszJ]/.test(character)) return 0.56;
  if (/[mMwW@%…→]/.test(character)) return 0.98;
  if (/[\u1100-\u11FF\u2E80-\uFFFF\u{1F000}-\u{3FFFF}]/u.test(character)) return 1.1;
  return /\p{Lu}/u.test(character) ? 0.74 : 0.64;
}

/** A text cut with an ellipsis where it is wider than its place. */
export function fitted(text: string, size: number, width: number): string {
  const plain = plainText(text);
  if (textWidth(plain, size) <= width) return plain;
  const characters = [...plain];
  while (characters.length > 0 && textWidth(`${characters.join('')}…`, size) > width) {
    characters.pop();
  }
  return `${characters.join('').trimEnd()}…`;
}

/** A text in lines of at most a width; a word that is wider is cut. */
export function wrapped(text: string, size: number, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of plainText(text).split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (line !== '' && textWidth(longer, size) > width) {
      lines.push(fitted(line, size, width));
      line = word;
    } else {
      line = longer;
    }
  }
  return [...lines, fitted(line, size, width)];
}
