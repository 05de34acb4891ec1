/** Calls that wait for each other: kernels write over their last output, so no two may run at once. */

/** Runs what it is given, one after another; an error ends the call that made it, and no other. */
export function takingTurns(): <T>(work: () => Promise<T>) => Promise<T> {
  let turn: Promise<unknown> = Promise.resolve();
  return (work) => {
    const done = turn.then(work);
    turn = done.catch(() => {});
    return done;
  };
}
