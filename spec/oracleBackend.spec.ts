/** `selscan oracle --backend`: golden cases on the kernels of a backend, against what their authors recorded. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { openRegular } from '../lib/checkpoint/nodeFiles.ts';
import { TensorFile } from '../lib/checkpoint/tensorFile.ts';
import { path, selscan, temporaryFolder } from './support.ts';

const GOLDEN = path('fixtures/golden');

/** Ops of which every case is made of ops that gpu.js kernels have. */
const OPS = [
  ...[
    'selective_scan',
    'selective_scan_init',
    'selective_state_update',
    'ssd_scan',
    'discrete_ssd',
  ],
  ...['causal_conv1d', 'causal_conv1d_update', 'rmsnorm', 'layernorm', 'rmsnorm_gated'],
  ...['rope_flash', 'attention', 'swiglu_mlp', 'gated_mlp_mamba', 'log_softmax'],
];
const CASES = [
  ...OPS.flatMap((op) => readdirSync(join(GOLDEN, 'ops', op)).map((name) => join('ops', op, name))),
  ...readdirSync(join(GOLDEN, 'models')).map((name) => join('models', name, 'golden.safetensors')),
];
/** What a backend owes of a model. */
const OWED = ['out.logits', 'out.step_logits', 'out.greedy_ids'];

async function read(file: string, name: string): Promise<ArrayLike<number> | undefined> {
  const opened = await TensorFile.open(await openRegular(file));
  try {
    const entry = opened.header.tensors.get(name);
    if (!entry) return undefined;
    if (/^(F|BF)/.test(entry.dtype)) return (await opened.floats(name)).data;
    return Array.from((await opened.integers(name)).data as number[], Number);
  } finally {
    await opened.close();
  }
}

const largest = (values: Iterable<number>) =>
  Math.max(0, ...Array.from(values, Math.abs).filter(Number.isFinite));

describe('golden cases on gpujs:webasm', () => {
  const out = temporaryFolder();
  let lines: { case?: string; ok?: boolean; error?: { code: string } }[];
  beforeAll(async () => {
    const args = ['oracle', GOLDEN, '--out', out, '--backend', 'gpujs:webasm', '--json'];
    const result = await selscan(args);
    expect(result.code).toBe(1);
    lines = result.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  });

  it('names what it does not declare, and nothing else fails', () => {
    const failed = lines.filter(({ ok }) => ok === false);
    expect(new Set(failed.map(({ error }) => error?.code))).toEqual(new Set(['Unsupported']));
    expect(failed.filter((line) => CASES.includes(line.case ?? ''))).toEqual([]);
  });

  it.each(CASES)('%s is as near as float32 of its authors comes', async (name) => {
    const golden = await TensorFile.open(await openRegular(join(GOLDEN, name)));
    const names = [...golden.header.tensors.keys()].filter((tensor) =>
      name.startsWith('models') ? OWED.includes(tensor) : tensor.startsWith('out.'),
    );
    await golden.close();
    for (const tensor of names) {
      const want = (await read(join(GOLDEN, name), tensor)) as ArrayLike<number>;
      const theirs = (await read(join(GOLDEN, name), tensor.replace('out.', 'out32.'))) ?? want;
      const got = (await read(join(out, name), tensor)) as ArrayLike<number>;
      expect(got.length, tensor).toBe(want.length);
      const lost = largest(Array.from(want, (x, i) => x - theirs[i]));
      const allowed = 4 * lost + 1e-6 * largest(Array.from(want)); // ../shared/golden/README.md
      for (let i = 0; i < want.length; i++) {
        if (!Number.isFinite(theirs[i]) || !Number.isFinite(want[i])) continue;
        expect(Math.abs(got[i] - want[i]), `${tensor}[${i}]`).toBeLessThanOrEqual(allowed);
      }
    }
  });
});
