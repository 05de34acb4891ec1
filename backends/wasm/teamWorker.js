/** A thread of the team: does its share of every program until it is dismissed. Plain JavaScript, so that it runs as it is. */

const isNode = typeof process === 'object' && process.versions?.node !== undefined;

/** Milliseconds after which a sleeper looks again, whatever became of the call that was to wake it. */
const NAP = 10;

const start = (port, { module, memory, team, lost, thread, threads }) => {
  const abort = () => {
    throw new Error('a kernel gave up');
  };
  const words = new Int32Array(memory.buffer); // it does not grow
  const sleep = (at, was) => void Atomics.wait(words, at / 4, was, NAP);
  const instance = new WebAssembly.Instance(module, { env: { memory, abort, sleep } });
  port.postMessage('ready');
  try {
    instance.exports.work(team, thread, threads);
  } catch (error) {
    // the caller waits at a barrier that this thread will not come to
    Atomics.store(words, lost / 4, 1);
    throw error;
  }
};

if (isNode) {
  const threads = 'node:worker_threads'; // not a literal import: bundlers for browsers need not know it
  void import(/* @vite-ignore */ threads).then(({ parentPort }) => {
    parentPort.once('message', (message) => start(parentPort, message));
  });
} else {
  globalThis.onmessage = ({ data }) => start(globalThis, data);
}
