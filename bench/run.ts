/** `npm run bench`: verified, then timed, in one command. Nothing that is wrong is measured. */

import { parseArgs } from 'node:util';
import { BACKEND_NAMES } from '../backends/index.ts';
import { benchDecode } from './decode.bench.ts';
import { openBackends } from './devices.ts';
import { benchKernels } from './kernels.bench.ts';
import { benchOverhead } from './overhead.bench.ts';
import { benchPrefill } from './prefill.bench.ts';
import { benchReference } from './reference.bench.ts';
import { print, Report } from './report.ts';
import { PARTS, type Part, type Settings } from './settings.ts';
import { BATCHES, SMALL_MODELS } from './shapes.ts';
import { benchSteps } from './steps.bench.ts';
import { benchTraining } from './training.bench.ts';

const USAGE = `npm run bench -- [${PARTS.join(' | ')} …] [options]   all parts without a name
  --quick            small cases, little time: to see that everything works
  --all              batch 256 of whole steps too
  --backends a,b     of ${BACKEND_NAMES.join(', ')}; default: cpu, webasm, webgpu
  --models a,b       of ${Object.keys(SMALL_MODELS).join(', ')}; default: all
  --ops a,b          of the kernels; default: all
  --batches 1,8      instead of the usual ones
  --seconds n        for all rounds of one case
  --cap n            seconds; a call that would take longer is not made
  --json FILE        all numbers`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    all: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    backends: { type: 'string', default: 'gpujs:cpu,gpujs:webasm,gpujs:webgpu' },
    models: { type: 'string', default: Object.keys(SMALL_MODELS).join() },
    ops: { type: 'string', default: '' },
    batches: { type: 'string' },
    seconds: { type: 'string' },
    cap: { type: 'string' },
    json: { type: 'string' },
  },
});
const { quick, all } = values;
const listed = (text: string) => text.split(',').filter(Boolean);
const parts = positionals.length > 0 ? positionals : PARTS;
const unknown = parts.find((part) => !PARTS.includes(part as Part));
if (values.help || unknown !== undefined) {
  print(unknown === undefined ? USAGE : `no part "${unknown}"\n${USAGE}`);
  process.exit(unknown === undefined ? 0 : 1);
}

/** Batches of a part, unless others are asked for. */
const batchesOr = (usual: readonly number[]) =>
  values.batches ? listed(values.batches).map(Number) : quick ? [1, 8] : usual;

const settings: Settings = {
  quick,
  batches: batchesOr(all ? [...BATCHES, 256] : BATCHES),
  seqlens: quick ? [512] : [512, 4096, 16_384],
  backends: listed(values.backends),
  models: listed(values.models),
  ops: listed(values.ops),
  seconds: Number(values.seconds ?? (quick ? 1 : 10)),
  capSeconds: Number(values.cap ?? (quick ? 5 : 30)),
};

const report = new Report();
const { machine, node, commit } = report.setting;
print(`${machine}, Node ${node}, commit ${commit}`);
print('Machines are shared: compare lines of one run, not runs.');
const needsDevices = parts.some((part) => ['kernels', 'steps', 'prefill'].includes(part));
const backends = needsDevices ? await openBackends(settings.backends) : [];

const RUN: Record<Part, () => Promise<void>> = {
  reference: () => benchReference(report),
  decode: () => benchDecode(report, quick ? 1 : 5),
  kernels: () =>
    benchKernels(backends, { ...settings, batches: batchesOr([...BATCHES, 256]) }, report),
  steps: () => benchSteps(backends, settings, report),
  overhead: () => benchOverhead(settings, report),
  prefill: () => benchPrefill(backends, settings, report),
  training: () => benchTraining(settings, report),
};
for (const part of parts as Part[]) {
  print(`\n# ${part}`);
  await RUN[part]();
}
for (const backend of backends) await backend.close();
if (values.json) report.save(values.json);
