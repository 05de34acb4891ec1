/** Which of a plan's buffers may share memory: those that are never needed at the same time. */

import type { Columns, Plan, PlanStep } from './plan.ts';

/**
 * A number for every buffer, so that two buffers of one width and number get the same memory only if the
 * first is no longer read when the second is written. No step writes what it reads.
 */
export function assignRegisters({ steps }: Plan): Map<string, number> {
  const lastRead = new Map<string, number>();
  steps.forEach((step, i) => {
    for (const { buffer } of inputsOf(step)) lastRead.set(buffer, i);
  });
  const registers = new Map<string, number>();
  const busy = new Map<number, Map<number, number>>(); // width → register → last step that reads it
  steps.forEach(({ y }, i) => {
    const ofWidth = busy.get(y.width) ?? new Map<number, number>();
    busy.set(y.width, ofWidth);
    let register = 0;
    while ((ofWidth.get(register) ?? -1) >= i) register++;
    ofWidth.set(register, lastRead.get(y.buffer) ?? i);
    registers.set(y.buffer, register);
  });
  return registers;
}

/** The columns that a step reads. */
export function inputsOf({ inputs }: PlanStep): Columns[] {
  return Object.values(inputs as Record<string, Columns | undefined>).filter(
    (columns): columns is Columns => columns !== undefined,
  );
}
