/** Steps of training: convolution and recurrences, with their gradients. */

export function runRecurrenceStep(kernel: u32, step: usize, thread: u32, threads: u32): void {
  switch (kernel) {
    default:
      unreachable();
  }
}
