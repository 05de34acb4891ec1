/** The gpu.js backend in Node: every op and whole models in every mode that this machine has. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { openBackend } from '../backends/index.ts';
import type { Backend, DecodeOptions, Executor, Row } from '../backends/types.ts';
import { loadOn } from '../lib/backend.ts';
import { collect } from '../lib/decode/events.ts';
import { generate } from '../lib/decode/generate.ts';
import { referenceExecutor } from '../lib/decode/referenceExecutor.ts';
import { loadModel } from '../lib/loadModel.ts';
import { lawsOf } from '../lib/verify/laws/index.ts';
import { MODEL_LAWS } from '../lib/verify/laws/models.ts';
import { backendSubject } from '../lib/verify/subject.ts';
import { type OpName, ops } from '../reference/ops.ts';
import { decodedGreedily, goldenGreedy } from './goldenModels.ts';
import { expectLaw, path, RUNS, TINY_STORIES } from './support.ts';

const GOLDEN = path('fixtures/golden/models');

/** Inputs of an op law and of a model law; every new shape costs the build of its kernels. */
const DRAWS = {
  cpu: [RUNS / 15, RUNS / 15],
  webasm: [RUNS / 20, RUNS / 15],
  webgpu: [RUNS / 50, RUNS / 75],
} as const;

const OPS: OpName[] = [
  ...(['silu', 'sigmoid', 'softplus', 'softmax', 'logSoftmax', 'linear', 'embedding'] as const),
  ...(['rmsNorm', 'layerNorm', 'gatedRmsNorm', 'swigluMlp', 'gatedMlp', 'rope'] as const),
  ...(['causalConv1d', 'causalConv1dStep', 'selectiveScan', 'selectiveScanStep'] as const),
  ...(['selectiveScanChunked', 'ssd', 'ssdStep', 'ssdChunked', 'discreteSsd'] as const),
  ...(['discreteSsdStep', 'discreteSsdChunked', 'attention', 'attentionStep'] as const),
  ...(['greedyToken', 'chooseToken'] as const),
];

const absent = await openBackend('gpujs:webgpu').then(
  async (backend) => {
    await backend.close();
    return undefined;
  },
  (error: Error) => error.message,
);
const isExpected = (process.env.SELSCAN_EXPECT ?? '').split(',').includes('gpujs:webgpu');

describe.each(['cpu', 'webasm', 'webgpu'] as const)('gpujs:%s', (mode) => {
  if (mode === 'webgpu' && absent !== undefined && !isExpected) {
    it.skip(`runs (${absent})`, () => {});
    return;
  }
  const [opRuns, modelRuns] = DRAWS[mode].map((runs) => Math.max(Math.ceil(runs), 2));
  let backend: Backend;
  beforeAll(async () => {
    backend = await openBackend(`gpujs:${mode}`);
  });
  afterAll(() => backend.close());

  it('says what runs', () => {
    expect(backend.info).toMatchObject({ backend: `gpujs:${mode}`, mode, precision: 'float32' });
    expect(backend.info.fallback).toBeUndefined();
    if (mode === 'webgpu') expect(backend.info.adapter).toBeTruthy();
  });

  it('has the whole kernel set', () => {
    expect(Object.keys(backend.ops).sort()).toEqual([...OPS].sort());
  });

  describe.each(OPS)('%s', (op) => {
    for (const law of lawsOf(op)) {
      it(law.law, () => expectLaw(law, backendSubject(backend.info, backend.ops), opRuns));
    }
  });

  describe('models', () => {
    const open = (model: Parameters<typeof loadOn>[1]): Promise<Executor> => loadOn(backend, model);
    for (const law of MODEL_LAWS) {
      it(law.law, () => {
        const { precision, arithmetic } = backend.info;
        return expectLaw(law, { open, precision, arithmetic, isBitwise: false }, modelRuns);
      });
    }

    it.each(readdirSync(GOLDEN))('%s decodes to the greedy tokens of its authors', async (name) => {
      const { prompts, greedy } = await goldenGreedy(join(GOLDEN, name));
      const executor = await open((await loadModel(join(GOLDEN, name))).model);
      const decoded = await decodedGreedily(executor, prompts, greedy[0].length);
      await executor.close();
      expect(decoded).toEqual(greedy);
    });

    it('tells the story of TinyStories token by token as the oracle does', async () => {
      const loaded = await loadModel(TINY_STORIES);
      const executor = await open(loaded.model);
      const options = { temperature: 0, maxTokens: 100 };
      const prompts = ['', 'Lily and Tom went to'];
      const got = await collect(generate(loaded, prompts, { ...options, backend: executor }));
      await executor.close();
      const oracle = { ...options, backend: 'reference' };
      const want = await collect(generate(loaded, prompts, oracle));
      expect(got.map(({ text }) => text)).toEqual(want.map(({ text }) => text));
    });

    it('chooses tokens on the device as the host does', async () => {
      const { model } = await loadModel(TINY_STORIES);
      const executor = await open(model);
      const [story, other] = await executor.prefill([[1], [1, 400]]);
      const greedy = await executor.decode?.([story.row, other.row], [403, 300], { steps: 20 });
      const uniform = (row: number, step: number) => ((row * 7 + step * 3 + 1) % 16) / 16;
      const forked = [await executor.fork(story.row), await executor.fork(story.row)];
      const options = { steps: 8, temperature: 0.8, uniform };
      const drawn = await executor.decode?.(forked, [5, 6], options);
      await executor.close();

      const oracle = referenceExecutor(model);
      const [first, second] = await oracle.prefill([[1], [1, 400]]);
      const rows = [first.row, second.row];
      const want = await decodeOnHost(oracle, rows, [403, 300], { steps: 20 });
      expect(greedy).toEqual(want);
      const children = [await oracle.fork(first.row), await oracle.fork(first.row)];
      expect(drawn).toEqual(await decodeOnHost(oracle, children, [5, 6], options));
    });

    it('takes no more memory after 1,000 steps', async () => {
      const loaded = await loadModel(TINY_STORIES);
      const executor = await open(loaded.model);
      const [{ row }] = await executor.prefill([[1]]);
      const saved = await executor.save(row);
      const used = await memoryMeter(mode);
      let row2 = row;
      const steps = async (count: number) => {
        for (let i = 0; i < count; i++) {
          if (row2.position >= 60) {
            executor.release(row2);
            row2 = await executor.load(saved); // within one size of cache
          }
          await executor.step([row2], [i % 512]);
        }
      };
      await steps(200);
      const before = used();
      await steps(mode === 'webgpu' ? 300 : 1000);
      const after = used();
      await executor.close();
      expect(after.buffers).toBe(before.buffers);
      // one leaked cache of one layer would be 8 MB by now; the collector leaves up to 3
      expect(after.bytes - before.bytes).toBeLessThan(5e6);
    }, 300_000);
  });
});

/** What `decode` promises, with logits on the host. */
async function decodeOnHost(
  executor: Executor,
  rows: readonly Row[],
  tokens: readonly number[],
  { steps, temperature = 0, uniform = () => 0 }: DecodeOptions,
): Promise<number[][]> {
  const decoded = rows.map((): number[] => []);
  let next = [...tokens];
  for (let step = 0; step < steps; step++) {
    const all = await executor.step(rows, next);
    next = all.map((logits, row) => {
      const data = temperature > 0 ? logits.map((x) => x / temperature) : logits;
      const one = { logits: { data, shape: [1, logits.length] } };
      const choice =
        temperature > 0
          ? ops.chooseToken({ ...one, u: [uniform(row, step)] })
          : ops.greedyToken(one);
      decoded[row].push(choice.tokens[0]);
      return choice.tokens[0];
    });
  }
  return decoded;
}

/** Buffers on the GPU, and bytes of this process after a collection. */
async function memoryMeter(mode: string): Promise<() => { buffers: number; bytes: number }> {
  setFlagsFromString('--expose_gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  let buffers = 0;
  if (mode === 'webgpu') {
    const { importGpuJs } = await import('../backends/gpujs/gpu.ts');
    const { device } = await (await importGpuJs()).WebGPUContext.acquire();
    const counted = device as unknown as { createBuffer(d: unknown): { destroy(): void } };
    const create = counted.createBuffer.bind(counted);
    counted.createBuffer = (descriptor) => {
      const buffer = create(descriptor);
      const destroy = buffer.destroy.bind(buffer);
      buffers++;
      buffer.destroy = () => {
        buffers--;
        destroy();
      };
      return buffer;
    };
  }
  return () => {
    collectGarbage();
    const { heapUsed, external } = process.memoryUsage();
    return { buffers, bytes: heapUsed + external };
  };
}

describe('another mode than was asked for', () => {
  afterEach(() => {
    vi.doUnmock('gpu.js');
    vi.resetModules();
  });

  /** gpu.js as it is when a kernel does not compile: it runs on the CPU and says so nowhere but here. */
  const fallingBack = () => {
    const kernel = Object.assign((a: number[][]) => a.map((row) => row.map((x) => x + 1)), {
      kernel: { constructor: { mode: 'cpu' }, fallbackReason: 'no such luck' },
      destroy: () => {},
    });
    class GPU {
      createKernel = () => kernel;
      destroy = async () => {};
    }
    return { GPU };
  };

  it('is an error, unless it is allowed and told', async () => {
    vi.resetModules();
    vi.doMock('gpu.js', fallingBack);
    const { openGpujs } = await import('../backends/gpujs/index.ts');
    const opening = openGpujs('webasm');
    await expect(opening).rejects.toMatchObject({ code: 'Fallback' });
    await expect(opening).rejects.toThrow(/expected this mode, got cpu \(no such luck\)/);
    const { info } = await openGpujs('webasm', { allowsFallback: true });
    expect(info).toMatchObject({ mode: 'webasm', fallback: 'cpu: no such luck' });
  });

  it('a package that is not installed is an error that says what to install', async () => {
    vi.resetModules();
    vi.doMock('gpu.js', () => {
      throw new Error("Cannot find package 'gpu.js'");
    });
    const { openGpujs } = await import('../backends/gpujs/index.ts');
    const opening = openGpujs('cpu');
    await expect(opening).rejects.toMatchObject({ code: 'PeerMissing' });
    await expect(opening).rejects.toThrow(/npm install gpu\.js@/);
  });

  it('webgl2 without a browser is an error that says what to use', async () => {
    await expect(openBackend('gpujs:webgl2')).rejects.toMatchObject({ code: 'NoAdapter' });
  });
});
