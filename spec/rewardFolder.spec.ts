/** The folder of a reward model: written, read back, and refused by name where it is another's. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TrainingDevice } from '../backends/training.ts';
import { openWasmTraining } from '../backends/wasm/training/index.ts';
import { modelFiles, writeModelFolder } from '../lib/checkpoint/modelWriter.ts';
import { initFromAttention } from '../lib/distil/initFromAttention.ts';
import { inspect } from '../lib/inspect.ts';
import { loadModel } from '../lib/loadModel.ts';
import { loadReward } from '../lib/reward/loadReward.ts';
import { scoreChains } from '../lib/reward/scoreChains.ts';
import { TASK_REWARD } from '../lib/reward/train.ts';
import { tokenizerJson } from '../lib/tasks/vocabulary.ts';
import { TASK_TOKENS } from '../lib/train/evaluate.ts';
import type { Tensor } from '../reference/tensor.ts';
import { rewardOf, TASK_ENDS, TEACHER_CONFIG } from './rewards.ts';
import { temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const at = (name: string) => join(folder, name);
const tokenizer = new TextEncoder().encode(tokenizerJson());

let device: TrainingDevice;
beforeAll(async () => {
  device = await openWasmTraining({ threads: 2 });
});
afterAll(() => device.close());

describe('the folder', () => {
  const made = rewardOf(5);
  const { config, weights } = made;
  const model = { config, weights, reward: TASK_REWARD.reward, tokenizer, ...TASK_TOKENS };
  const chain = { prompt: '[MAX 1 2 ]', text: 'MAX 1 2 = 2 ; # 2' };

  it('is read back to the same scores, and inspected', async () => {
    await writeModelFolder(at('reward'), model);
    const loaded = await loadReward(at('reward'));
    expect(loaded).toMatchObject({ reward: { stepToken: TASK_ENDS.reward.stepToken } });
    const [want] = await scoreChains(made, [chain], { backend: device });
    expect(await scoreChains(loaded, [chain], { backend: device })).toEqual([want]);
    const json = JSON.parse(readFileSync(join(at('reward'), 'config.json'), 'utf8'));
    const { architectures, num_labels, pad_token_id, step_token_id } = json;
    expect([architectures, num_labels, pad_token_id]).toEqual([
      ['LlamaForSequenceClassification'],
      1,
      0,
    ]);
    expect(step_token_id).toBe(TASK_ENDS.reward.stepToken);
    const inspected = await inspect(at('reward'), { load: true });
    const numbers = [...weights.values()].reduce((sum, { data }) => sum + data.length, 0);
    expect(inspected).toMatchObject({ family: 'llama', isReward: true, parameters: numbers });
  });

  /** The files of the reward model with a changed config. */
  async function changed(change: (json: Record<string, unknown>) => void, weightsOf = weights) {
    const files = new Map<string, Uint8Array>();
    for (const { name, pieces } of await modelFiles({ ...model, weights: weightsOf })) {
      files.set(name, new Uint8Array(Buffer.concat([...pieces()])));
    }
    const json = JSON.parse(new TextDecoder().decode(files.get('config.json')));
    change(json);
    files.set('config.json', new TextEncoder().encode(JSON.stringify(json)));
    return files;
  }

  it('may be written again by transformers, which has no num_labels and one name in id2label', async () => {
    const files = await changed((json) => {
      delete json.num_labels;
      json.id2label = { 0: 'LABEL_0' };
    });
    expect((await loadReward(files)).reward).toEqual({ stepToken: TASK_ENDS.reward.stepToken });
    const only = await changed((json) => {
      delete json.id2label;
      delete json.step_token_id;
    });
    const whole = await loadReward(only);
    expect(whole.reward).toEqual({});
    expect((await scoreChains(whole, [chain], { backend: device }))[0].steps).toHaveLength(1);
  });

  it.each([
    ['UnsupportedModel', 'num_labels: expected 1', { num_labels: 2, id2label: undefined }],
    ['UnsupportedModel', 'got 2', { num_labels: undefined, id2label: undefined }],
    ['UnsupportedModel', 'LlamaForTokenCl', { architectures: ['LlamaForTokenClassification'] }],
    ['UnsupportedModel', 'a model that writes', { architectures: ['LlamaForCausalLM'] }],
    ['ConfigRange', 'step_token_id: expected token ids below 82', { step_token_id: 82 }],
    ['ConfigSchema', 'eos_token_id: is missing', { eos_token_id: null }],
    ['ShapeMismatch', '21 with another shape', { hidden_size: 64 }],
  ])('%s: %s', async (code, message, fields) => {
    const files = await changed((json) => Object.assign(json, fields));
    files.delete('generation_config.json');
    // only the config is to be judged where it is another model's
    if (code === 'UnsupportedModel' && message.includes('writes')) {
      const own = await modelFiles({ config, weights, ...TASK_TOKENS });
      const file = own.find(({ name }) => name === 'model.safetensors');
      files.set('model.safetensors', new Uint8Array(Buffer.concat([...(file?.pieces() ?? [])])));
    }
    const loaded = loadReward(files);
    await expect(loaded).rejects.toMatchObject({ code });
    await expect(loaded).rejects.toThrow(message);
  });

  it('is refused by what writes, whatever the way in', async () => {
    const files = await changed(() => {});
    const loaded = loadModel(files);
    await expect(loaded).rejects.toMatchObject({ code: 'UnsupportedModel' });
    await expect(loaded).rejects.toThrow(/scores what others wrote; selscan judge does/);
  });

  it('has no layout for students, for a head of another shape, and for none', async () => {
    const student = initFromAttention(
      { config: TEACHER_CONFIG, weights },
      { kind: 'llamba', seed: 1 },
    );
    const score = weights.get('score') as Tensor;
    const withScore = new Map(student.weights).set('score', score);
    const wrong = { ...model, config: student.config, weights: withScore };
    await expect(modelFiles(wrong)).rejects.toMatchObject({ code: 'UnsupportedModel' });
    const { score: _none, ...others } = Object.fromEntries(weights);
    const headless = { ...model, weights: new Map(Object.entries(others)) };
    await expect(modelFiles(headless)).rejects.toThrow(/modelFiles: score: expected a tensor/);
    const wide = { data: new Float32Array(64), shape: [2, 32] };
    const two = { ...model, weights: new Map(weights).set('score', wide) };
    await expect(modelFiles(two)).rejects.toThrow(/score: expected shape \(labels, dModel\)/);
    await expect(writeModelFolder(at('nowhere'), two)).rejects.toThrow();
    expect(existsSync(at('nowhere'))).toBe(false);
  });
});
