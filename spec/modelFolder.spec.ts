/** Folders of models: what may be written where, and what is left when writing fails. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ModelToWrite, modelFiles, writeModelFolder } from '../lib/checkpoint/modelWriter.ts';
import { initFromAttention } from '../lib/distil/initFromAttention.ts';
import { loadModel } from '../lib/loadModel.ts';
import { randomWeights } from '../lib/verify/randomModel.ts';
import type { ModelConfig } from '../reference/config.ts';
import type { Tensor } from '../reference/tensor.ts';
import { path, temporaryFolder } from './support.ts';
import { teacherOf } from './teachers.ts';
import { expectSameModel } from './writableModels.ts';

describe('what is refused', () => {
  const teacher = teacherOf({
    nKvHeads: 1,
    perKvHead: 2,
    nPairs: 1,
    dModel: 4,
    nLayers: 2,
    isTied: true,
    seed: 1,
  });
  const weightsOf = (config: ModelConfig): ModelToWrite => ({
    config,
    weights: randomWeights(config, 1),
  });
  const { config } = teacher;
  const [layer] = config.layers;
  const withMixer = (mixer: object) =>
    ({ ...config, layers: [{ ...layer, mixer: { ...layer.mixer, ...mixer } }] }) as ModelConfig;
  const llamba = initFromAttention(teacher, { kind: 'llamba', seed: 1 }).config;
  const hybrid = initFromAttention(teacher, { kind: 'llamba', keptAttention: [0], seed: 1 }).config;

  it.each<[string, ModelToWrite, string]>([
    [
      'a padded vocabulary in a Llama',
      weightsOf({ ...config, vocabRows: 16 }),
      'config.vocabRows: expected 11, got 16',
    ],
    [
      'attention without positions',
      weightsOf(withMixer({ rope: undefined })),
      'layers[0].mixer.rope',
    ],
    [
      'another scale',
      weightsOf(withMixer({ scale: 1 })),
      'layers[0].mixer.scale: expected none, got 1',
    ],
    [
      'layers of two sizes',
      weightsOf({ ...config, layers: [layer, withMixer({ nHeads: 4 }).layers[0]] }),
      'layers[1].mixer.nHeads: expected 2, got 4',
    ],
    [
      'a layer without MLP',
      weightsOf({ ...config, layers: [{ norm: layer.norm, mixer: layer.mixer }] }),
      'intermediate_size',
    ],
    ['no layers', weightsOf({ ...config, layers: [] }), 'got none'],
    [
      'Llamba with attention',
      weightsOf(hybrid),
      'got attention, discreteMamba2; no published layout',
    ],
    [
      'another eps in Llamba',
      weightsOf({ ...llamba, layers: llamba.layers.map((l) => ({ ...l, norm: layer.norm })) }),
      'layers[0].norm.eps: expected 0.00001, got 0.000001',
    ],
    [
      'a token that is none',
      { ...weightsOf(config), eosTokens: [11] },
      'eos_token_id: expected token ids below 11, got 11',
    ],
  ])('%s, by name', async (_, model, message) => {
    const error = await modelFiles(model).catch((e: unknown) => e);
    expect(error).toMatchObject({
      code: 'UnsupportedModel',
      message: expect.stringContaining(message),
    });
    expect((error as Error).message).toMatch(/^writeModelFolder: [^\n]*[^.]$/);
  });

  it('weights that are missing, and rows of a bias that the layout leaves out', async () => {
    const { weights } = weightsOf(config);
    const fewer = new Map([...weights].filter(([name]) => name !== 'layers.1.mlp.down'));
    await expect(modelFiles({ config, weights: fewer })).rejects.toMatchObject({ code: 'Shape' });
    const student = initFromAttention(teacher, { kind: 'mambaInLlama', dState: 2, seed: 1 });
    const biased: ModelConfig = {
      ...student.config,
      layers: student.config.layers.map(
        (l) => ({ ...l, mixer: { ...l.mixer, hasZBias: true } }) as typeof l,
      ),
    };
    const error = await modelFiles(weightsOf(biased)).catch((e: unknown) => e);
    expect(error).toMatchObject({
      code: 'UnsupportedModel',
      message: expect.stringContaining('inProjBias'),
    });
  });

  it('a folder that is there, unless it is a model and may be overwritten', async () => {
    const folder = temporaryFolder();
    const at = join(folder, 'model');
    await writeModelFolder(at, teacher);
    const before = readFileSync(join(at, 'model.safetensors'));
    const other = weightsOf(config);
    await expect(writeModelFolder(at, other)).rejects.toMatchObject({ code: 'FolderExists' });
    expect(Buffer.compare(readFileSync(join(at, 'model.safetensors')), before)).toBe(0);
    writeFileSync(join(at, 'left.over'), 'x');
    await writeModelFolder(at, { ...other, overwrite: true });
    expectSameModel(await loadModel(at), other);
    expect(existsSync(join(at, 'left.over'))).toBe(false);
    mkdirSync(join(folder, 'mine'));
    writeFileSync(join(folder, 'mine/thesis.txt'), 'x');
    for (const name of ['mine', 'mine/thesis.txt']) {
      const write = writeModelFolder(join(folder, name), { ...teacher, overwrite: true });
      await expect(write).rejects.toMatchObject({ code: 'FolderExists' });
    }
    expect(readdirSync(folder).sort()).toEqual(['mine', 'model']);
  });
});

describe('writing that fails', () => {
  const teacher = teacherOf({
    nKvHeads: 1,
    perKvHead: 2,
    nPairs: 1,
    dModel: 4,
    nLayers: 2,
    isTied: true,
    seed: 1,
  });
  const { config } = teacher;

  it.each<['F32' | 'BF16', number]>([
    ['F32', Number.NaN],
    ['F32', 1e39],
    ['BF16', 3.4e38],
  ])(
    'because %s cannot hold %d names the tensor, and leaves what was there',
    async (dtype, bad) => {
      const folder = temporaryFolder();
      const at = join(folder, 'model');
      await writeModelFolder(at, teacher);
      const weights = randomWeights(config, 2);
      (weights.get('layers.1.mlp.down') as Tensor).data[3] = bad;
      for (const to of [at, join(folder, 'new')]) {
        const error = await writeModelFolder(to, { config, weights, dtype, overwrite: true }).catch(
          (e) => e,
        );
        expect(error).toMatchObject({
          code: 'NonFinite',
          message: expect.stringContaining('"model.layers.1.mlp.down_proj.weight"'),
        });
      }
      expect(readdirSync(folder)).toEqual(['model']);
      expectSameModel(await loadModel(at), teacher);
    },
  );

  /** Writes folders in a process of its own; the second of their files is 8 MB and does `after` in its middle. */
  function writeElsewhere(folders: readonly string[], after: string, shell = 'exec "$@"') {
    const script = `
      const { writeFolder } = await import(${JSON.stringify(path('lib/checkpoint/nodeFiles.ts'))});
      const half = new Uint8Array(4e6);
      const large = { name: 'b', *pieces() { yield half; ${after}; yield half; } };
      const files = [{ name: 'config.json', pieces: () => [half.subarray(0, 2)] }, large];
      for (const folder of ${JSON.stringify(folders)}) {
        await writeFolder(folder, files, true)
          .then((bytes) => console.log(bytes), (error) => console.log(error.code));
      }`;
    const command = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', script];
    const options = { cwd: path('.'), encoding: 'utf8' } as const;
    const { stdout, signal } = spawnSync('sh', ['-c', shell, 'sh', ...command], options);
    return { said: stdout.trim(), signal };
  }

  it('because no more fits on the disk leaves what was there', async () => {
    const folder = temporaryFolder();
    const at = join(folder, 'model');
    await writeModelFolder(at, teacher);
    // a file may have 4 MB at most, in blocks of 512 or 1,024 bytes
    const both = [at, join(folder, 'new')];
    expect(writeElsewhere(both, '', 'ulimit -f 4000; exec "$@"').said).toBe('EFBIG\nEFBIG');
    expect(readdirSync(folder)).toEqual(['model']);
    expectSameModel(await loadModel(at), teacher);
    expect(writeElsewhere([at], '').said).toBe('8000002');
    expect(readdirSync(folder)).toEqual(['model']);
    expect(readdirSync(at).sort()).toEqual(['b', 'config.json']);
  });

  it('because the process is killed leaves what was there under its name', async () => {
    const folder = temporaryFolder();
    const at = join(folder, 'model');
    await writeModelFolder(at, teacher);
    for (const to of [at, join(folder, 'new')]) {
      expect(writeElsewhere([to], "process.kill(process.pid, 'SIGKILL')").signal).toBe('SIGKILL');
    }
    const hidden = readdirSync(folder).filter((name) => /^\..*\.part$/.test(name));
    expect(readdirSync(folder).sort()).toEqual([...hidden, 'model'].sort());
    expect(hidden).toHaveLength(2);
    expectSameModel(await loadModel(at), teacher);
  });
});
