/** `npm run bench`: verified, then timed, in one command. Nothing that breaks a law is measured. */

import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';
import benny from 'benny';
import { checkLaw, lawsOf, referenceSubject } from '../lib/verify/index.ts';
import { benchDecode } from './decode.bench.ts';
import { stepCases } from './steps.bench.ts';

const print = (line: string) => process.stdout.write(`${line}\n`);
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
print(`${cpus().length} × ${cpus()[0].model}, Node ${process.version}, commit ${commit}`);
print('Machines are shared: compare lines of one run, not runs.\n');

const cases = stepCases();
for (const op of new Set(cases.map((one) => one.op))) {
  for (const law of lawsOf(op)) {
    const { ok, counterexample } = await checkLaw(law, referenceSubject('float64'), { runs: 30 });
    if (!ok) throw new Error(`${op}: ${law.law}: ${JSON.stringify(counterexample)}`);
  }
}
print('all laws of the timed ops hold\n');

await benny.suite(
  'one decode step, reference, float64',
  ...cases.map(({ op, batch, run }) =>
    benny.add(`${op}, batch ${batch}`, run, { minSamples: 5, maxTime: 1 }),
  ),
  benny.complete(({ results }) => {
    for (const [i, { name, ops, margin }] of results.entries()) {
      const gigabytes = (cases[i].bytes * ops) / 1e9;
      const rate = `${(ops * cases[i].batch).toFixed(0)} tokens/s`;
      print(`${name.padEnd(30)} ${rate.padStart(18)} ±${margin} %, ${gigabytes.toFixed(2)} GB/s`);
    }
  }),
);

print('\nTinyStories-260K, 128 tokens a chain, all of generate included');
for (const { batch, precision, tokensPerSecond } of await benchDecode()) {
  const { median, min, max } = tokensPerSecond;
  print(
    `${precision}, batch ${batch}: ${median.toFixed(0)} tokens/s (${min.toFixed(0)} to ${max.toFixed(0)})`,
  );
}
