/** How series look, so that they stay apart for colour-blind readers and in grey print. */

import { ConfigError } from '../../reference/errors.ts';

/** Okabe & Ito 2008, without its yellow, which a white page hides; with a grey for what stays behind. */
export const PALETTE = {
  blue: '#0072b2',
  red: '#d55e00',
  green: '#009e73',
  purple: '#cc79a7',
  orange: '#e69f00',
  sky: '#56b4e9',
  black: '#000000',
  grey: '#999999',
} as const;

export type ColourName = keyof typeof PALETTE;

const COLOURS: readonly ColourName[] = [
  ...(['blue', 'red', 'green', 'purple', 'orange', 'sky', 'black'] as const),
];
const DASHES = ['none', '6 4', '2 3'] as const;
const SYMBOLS = ['circle', 'square', 'triangle', 'diamond', 'star', 'wye', 'cross'] as const;

/** Names beyond these could not be told apart. */
export const MOST_NAMES = COLOURS.length * DASHES.length;

export interface Look {
  readonly colour: string;
  /** An SVG stroke-dasharray. */
  readonly dash: string;
  readonly symbol: (typeof SYMBOLS)[number];
}

/** What a caller fixes of a look; the rest hangs on the place among the names. */
export interface LookOptions {
  readonly colour?: ColourName;
  readonly isDashed?: boolean;
}

/** The look of the name at a place, from 0. */
export function lookOf(place: number, { colour, isDashed }: LookOptions = {}): Look {
  const own = colour ?? COLOURS[place % COLOURS.length];
  if (!Object.hasOwn(PALETTE, own)) {
    const names = Object.keys(PALETTE).join(', ');
    throw new ConfigError(`figures: expected a colour of ${names}, got ${JSON.stringify(own)}`);
  }
  const turn = isDashed === undefined ? Math.floor(place / COLOURS.length) : Number(isDashed);
  return {
    colour: PALETTE[own],
    dash: DASHES[turn % DASHES.length],
    symbol: SYMBOLS[place % SYMBOLS.length],
  };
}

/** @throws ConfigError for more names than looks. */
export function looksOf(
  series: readonly (LookOptions & { readonly name: string })[],
): Map<string, Look> {
  const first = new Map<string, LookOptions>();
  for (const one of series) if (!first.has(one.name)) first.set(one.name, one);
  if (first.size > MOST_NAMES) {
    throw new ConfigError(
      `figures: expected at most ${MOST_NAMES} names, got ${first.size}; draw several figures`,
    );
  }
  return new Map([...first].map(([name, options], place) => [name, lookOf(place, options)]));
}
