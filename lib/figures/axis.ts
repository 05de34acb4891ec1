/** Axes: which numbers they hold, where their ticks stand, how those are written. */

import { fitted, textWidth } from './text.ts';

/** Largest number that a figure draws, and the inverse of the least on a logarithmic axis. */
const LARGEST = 1e100;
/** Distinct numbers that a logarithmic x axis marks themselves: batches, samples. */
const MOST_MARKED = 12;
/** Pixels between two labels. */
const GAP = 8;
/** The widest label, and how far one may stand out at the ends. */
const WIDEST = 120;
const OUTSIDE = 28;

export const TICK_SIZE = 12;

/** What an axis is to hold. */
export interface AxisOptions {
  readonly name: string;
  /** Stands behind each number: ` ms`. */
  readonly unit?: string;
  readonly isLog: boolean;
  readonly values: readonly number[];
  /** Whether ticks stand at the values where these are few. */
  readonly marksValues?: boolean;
  /** Pixels. */
  readonly length: number;
  readonly isUpright: boolean;
}

export interface Axis {
  readonly isLog: boolean;
  readonly least: number;
  readonly most: number;
  readonly ticks: readonly number[];
  label(tick: number): string;
  /** Pixels from the least. */
  at(value: number): number;
}

export function isDrawable(value: number, isLog: boolean): boolean {
  return Math.abs(value) <= LARGEST && (!isLog || value >= 1 / LARGEST);
}

export function axisOf(options: AxisOptions): Axis {
  const { isLog, values, length, unit = '' } = options;
  const [least, most] = isLog ? logRange(values) : linearRange(values);
  const scale = isLog ? Math.log : (value: number) => value;
  const at = (value: number) =>
    ((scale(value) - scale(least)) / (scale(most) - scale(least))) * length;
  const { ticks, step } = ticksOf(options, least, most);
  const label = (tick: number) => fitted(`${formatted(tick, step)}${unit}`, TICK_SIZE, WIDEST);
  return { isLog, least, most, at, label, ticks: apart(ticks, options, { at, label }) };
}

function extremes(values: readonly number[]): [number, number] {
  let [least, most] = [Infinity, -Infinity];
  for (const value of values) {
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  return [least, most];
}

function logRange(values: readonly number[]): [number, number] {
  if (values.length === 0) return [1, 10];
  const [least, most] = extremes(values);
  const isOne = most / least < 1 + 1e-9;
  const room = isOne ? 2 : (most / least) ** 0.04;
  return [least / room, most * room];
}

/** Room around the values, but not below zero where no value is. */
function linearRange(values: readonly number[]): [number, number] {
  if (values.length === 0) return [0, 1];
  const [least, most] = extremes(values);
  const size = Math.max(Math.abs(least), Math.abs(most));
  const isOne = most - least <= 1e-9 * size;
  const room = isOne ? size / 2 || 1 : 0.04 * (most - least);
  const isAtZero = least >= 0 && least - room < 0;
  return [isAtZero ? 0 : least - room, most + room];
}

/** Ticks, and where they are evenly spaced the step between them. */
function ticksOf(
  { isLog, values, marksValues, length, isUpright }: AxisOptions,
  least: number,
  most: number,
): { ticks: number[]; step?: number } {
  const even = () => evenTicks(least, most, length / (isUpright ? 50 : 65));
  if (!isLog) return even();
  const distinct = new Set(values);
  if (marksValues && distinct.size <= MOST_MARKED) return { ticks: [...distinct].sort(byNumber) };
  const decades = Math.log10(most / least);
  if (decades < 1) return even();
  const digits = decades > 3 ? [1] : decades > 1.5 ? [1, 3] : [1, 2, 5];
  const every = Math.ceil(decades / 8);
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(least)); power <= Math.log10(most); power++) {
    if (power % every !== 0) continue;
    ticks.push(...digits.map((digit) => Number(`${digit}e${power}`)));
  }
  return { ticks: ticks.filter((tick) => tick >= least && tick <= most) };
}

const byNumber = (a: number, b: number) => a - b;

/** Multiples of 1, 2 or 5 times a power of ten. */
function evenTicks(least: number, most: number, count: number): { ticks: number[]; step: number } {
  const rough = (most - least) / Math.max(2, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((digit) => digit * power >= rough) ?? 10) * power;
  const ticks: number[] = [];
  for (let i = Math.ceil(least / step); i * step <= most; i++) {
    ticks.push(Number((i * step).toPrecision(12)));
  }
  return { ticks, step };
}

/** The ticks whose labels neither touch nor repeat the one before, nor stand out. */
function apart(
  ticks: readonly number[],
  { isUpright, length }: AxisOptions,
  { at, label }: Pick<Axis, 'at' | 'label'>,
): number[] {
  let [end, before] = [-Infinity, ''];
  return ticks.filter((tick) => {
    const half = (isUpright ? TICK_SIZE : textWidth(label(tick), TICK_SIZE)) / 2;
    if (label(tick) === before) return false;
    const isOutside = at(tick) - half < -OUTSIDE || at(tick) + half > length + OUTSIDE;
    if (isOutside || at(tick) - half < end) return false;
    [end, before] = [at(tick) + half + GAP, label(tick)];
    return true;
  });
}

/** A number with the digits that tell it from its neighbour a step away, or without steps with up to six. */
function formatted(value: number, step?: number): string {
  if (value === 0) return '0';
  const sign = value < 0 ? '−' : '';
  const size = Math.abs(value);
  const short = Number(size.toPrecision(6));
  // a power of ten may have a logarithm a hair below its exponent
  const stepPower = step === undefined ? undefined : Math.floor(Math.log10(step) + 1e-9);
  const within = (digits: number) => Math.min(12, Math.max(0, digits));
  if (size >= 1e7 || size < 1e-4) {
    const digits = stepPower === undefined ? undefined : Math.floor(Math.log10(size)) - stepPower;
    const text = digits === undefined ? short.toExponential() : size.toExponential(within(digits));
    return `${sign}${text.replace('+', '').replace('-', '−')}`;
  }
  const text = stepPower === undefined ? String(short) : size.toFixed(within(-stepPower));
  const [whole, fraction] = text.split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return `${sign}${grouped}${fraction === undefined ? '' : `.${fraction}`}`;
}
