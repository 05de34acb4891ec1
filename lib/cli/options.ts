/** Values of command line options, checked where they are read. */

import { InvalidArgumentError } from 'commander';

/** A number; the command checks its range. */
export function parseNumber(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isNaN(value)) throw new InvalidArgumentError(`expected a number, got "${text}"`);
  return value;
}

/** A whole number; the command checks its range. */
export function parseInteger(text: string): number {
  const value = parseNumber(text);
  if (!Number.isInteger(value))
    throw new InvalidArgumentError(`expected a whole number, got "${text}"`);
  return value;
}

/** Token ids: 1,2,3. */
export function parseTokens(text: string): number[] {
  return text.split(',').map(parseInteger);
}

/** ID=BIAS, may be given several times. -inf bans the token. */
export function parseLogitBias(text: string, before: Map<number, number> = new Map()) {
  const match = /^(\d+)=(.+)$/.exec(text);
  if (!match) throw new InvalidArgumentError(`expected ID=BIAS, got "${text}"`);
  const isBan = /^-inf(inity)?$/i.test(match[2]);
  return before.set(Number(match[1]), isBan ? Number.NEGATIVE_INFINITY : parseNumber(match[2]));
}

/** A text, may be given several times. */
export function parseTexts(text: string, before: string[] = []): string[] {
  return [...before, text];
}
