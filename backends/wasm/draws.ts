/** How tokens are to be drawn and what was drawn, as the kernel CHOOSE reads and writes it. */

import type { Draw, Drawn } from '../types.ts';
import * as abi from './abi.ts';
import type { Memory } from './memory.ts';

export const DRAW_BYTES = 8 * abi.DRAW_NUMBERS;

export function writeDraws(memory: Memory, address: number, draws: readonly Draw[]): void {
  const f64 = numbersOf(memory, address, draws.length);
  draws.forEach(({ temperature, u }, i) => {
    f64[abi.DRAW_NUMBERS * i + abi.DRAW_TEMPERATURE] = temperature;
    f64[abi.DRAW_NUMBERS * i + abi.DRAW_U] = u;
  });
}

export function drawnFrom(memory: Memory, address: number, draws: readonly Draw[]): Drawn[] {
  const f64 = numbersOf(memory, address, draws.length);
  return draws.map(({ temperature }, i): Drawn => {
    const of = (field: number) => f64[abi.DRAW_NUMBERS * i + field];
    const token = of(abi.DRAW_TOKEN);
    if (token < 0) return { token, logprob: Number.NaN, filteredLogprob: Number.NaN };
    const logit = of(abi.DRAW_LOGIT);
    const logprob = logit - of(abi.DRAW_LARGEST) - Math.log(of(abi.DRAW_TOTAL));
    if (temperature === 0) return { token, logprob, filteredLogprob: 0 };
    const above = (logit - of(abi.DRAW_BEST)) / temperature; // ≤ 0
    return { token, logprob, filteredLogprob: above - Math.log(of(abi.DRAW_WEIGHT)) };
  });
}

const numbersOf = ({ wasm }: Memory, address: number, rows: number) =>
  new Float64Array(wasm.buffer, address, rows * abi.DRAW_NUMBERS);
