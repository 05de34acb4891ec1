/** Ends a run with the modes that were skipped, the seed, and a plain line of counts. */

import type { Reporter, TestModule } from 'vitest/node';
import { SEED } from './support.ts';

export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const count = { passed: 0, failed: errors.length, skipped: 0, pending: 0 };
    const skipped: string[] = [];
    for (const module of modules) {
      if (module.state() === 'failed' && [...module.children.allTests()].length === 0)
        count.failed++;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        count[state]++;
        if (state === 'skipped') skipped.push(test.fullName);
      }
    }
    // after the default reporter's own summary
    setImmediate(() => {
      for (const name of skipped) process.stdout.write(`skipped: ${name}\n`);
      process.stdout.write(`seed ${SEED} (SELSCAN_SEED sets another)\n`);
      const rest = count.skipped > 0 ? `, ${count.skipped} skipped` : '';
      process.stdout.write(`${count.passed} passed, ${count.failed} failed${rest}\n`);
    });
  }
}
