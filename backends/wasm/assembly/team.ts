/** Threads that run one program together: each takes its share of every step, and waits for the others after it. */

import {
  STEP_WORDS,
  TEAM_ARRIVED,
  TEAM_BARRIERS,
  TEAM_CALL,
  TEAM_COMMAND,
  TEAM_PROGRAM,
  TEAM_SLEEPERS,
  TEAM_STEPS,
  TEAM_TICKETS,
} from '../abi';
import { runStep } from './program';
import { openTickets } from './share';

/** Looks at a word before a thread goes to sleep: some 20 µs, a few times what a step of a small model takes. */
const SPINS: i32 = 20_000;
/**
 * Sleeps while the word at an address is `was`, for some milliseconds at most. JavaScript's Atomics.wait: after
 * WebAssembly's own memory.atomic.wait32, code of Node 20's baseline compiler (V8 11.3) goes on with its result in the
 * place of a local variable, and threads then pass barriers early or never.
 */
// @ts-ignore: decorator
@external("env", "sleep")
declare function sleep(at: usize, was: u32): void;

// @ts-ignore: decorator
@inline
function wordOf(team: usize, word: i32): usize {
  return team + (<usize>word << 2);
}

/** Returns once a word is no longer what it was: looks for a short while, then sleeps. */
function waitForChange(team: usize, word: i32, was: u32, maySleep: bool): u32 {
  const at = wordOf(team, word);
  while (true) {
    for (let i = 0; i < SPINS; i++) {
      const now = atomic.load<u32>(at);
      if (now != was) return now;
    }
    if (!maySleep) continue;
    const sleepers = wordOf(team, TEAM_SLEEPERS);
    atomic.add<u32>(sleepers, 1);
    // returns at once where the word has changed in the meantime
    sleep(at, was);
    atomic.sub<u32>(sleepers, 1);
  }
}

function change(team: usize, word: i32): void {
  const at = wordOf(team, word);
  atomic.add<u32>(at, 1);
  if (atomic.load<u32>(wordOf(team, TEAM_SLEEPERS)) > 0) atomic.notify(at, -1);
}

/** Returns once all threads are here: what each wrote before it, all can read after it. The last one resets tickets. */
function meet(team: usize, threads: u32, maySleep: bool): void {
  if (threads == 1) {
    store<u32>(wordOf(team, TEAM_TICKETS), 0);
    return;
  }
  const was = atomic.load<u32>(wordOf(team, TEAM_BARRIERS));
  if (atomic.add<u32>(wordOf(team, TEAM_ARRIVED), 1) == threads - 1) {
    atomic.store<u32>(wordOf(team, TEAM_ARRIVED), 0);
    atomic.store<u32>(wordOf(team, TEAM_TICKETS), 0);
    change(team, TEAM_BARRIERS);
  } else {
    waitForChange(team, TEAM_BARRIERS, was, maySleep);
  }
}

function runAll(team: usize, thread: u32, threads: u32, maySleep: bool): void {
  const program = <usize>atomic.load<u32>(wordOf(team, TEAM_PROGRAM));
  const steps = atomic.load<u32>(wordOf(team, TEAM_STEPS));
  const call = <usize>atomic.load<u32>(wordOf(team, TEAM_CALL));
  openTickets(wordOf(team, TEAM_TICKETS));
  for (let i: u32 = 0; i < steps; i++) {
    runStep(program + <usize>i * (STEP_WORDS << 2), call, thread, threads);
    meet(team, threads, maySleep);
  }
}

/** Runs a program as the first thread of a team, and returns when all of it is done. */
export function run(
  team: usize,
  program: usize,
  steps: u32,
  call: usize,
  threads: u32,
  maySleep: bool,
): void {
  atomic.store<u32>(wordOf(team, TEAM_PROGRAM), <u32>program);
  atomic.store<u32>(wordOf(team, TEAM_STEPS), steps);
  atomic.store<u32>(wordOf(team, TEAM_CALL), <u32>call);
  atomic.store<u32>(wordOf(team, TEAM_TICKETS), 0); // a step that failed has left some
  if (threads > 1) change(team, TEAM_COMMAND);
  runAll(team, 0, threads, maySleep);
}

/** Ends the other threads of a team. */
export function dismiss(team: usize): void {
  atomic.store<u32>(wordOf(team, TEAM_PROGRAM), 0);
  change(team, TEAM_COMMAND);
}

/** The life of another thread: waits for programs and does its share of them until it is dismissed. */
export function work(team: usize, thread: u32, threads: u32): void {
  let seen: u32 = 0;
  while (true) {
    seen = waitForChange(team, TEAM_COMMAND, seen, true);
    if (atomic.load<u32>(wordOf(team, TEAM_PROGRAM)) == 0) return;
    runAll(team, thread, threads, true);
  }
}
