/** Steps of training: attention, rotary positions, losses, with their gradients. */

export function runAttentionStep(kernel: u32, step: usize, thread: u32, threads: u32): void {
  switch (kernel) {
    default:
      unreachable();
  }
}
