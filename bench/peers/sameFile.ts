/**
 * `npx tsx bench/peers/sameFile.ts [FOLDER…]`: whether llama.cpp and our reader make the same model of the same GGUF file,
 * in every format, for a small random model of each architecture and for model folders.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { writeAtomically } from '../../lib/checkpoint/atomicFile.ts';
import { encodeGguf, type GgufDtype } from '../../lib/checkpoint/gguf.ts';
import { ggufModel } from '../../lib/checkpoint/ggufModel.ts';
import { writeGguf } from '../../lib/checkpoint/ggufWriter.ts';
import { loadModel } from '../../lib/loadModel.ts';
import { weightNamed } from '../../lib/plan/weights.ts';
import { modelOf } from '../../lib/verify/index.ts';
import type { LayerConfig, ModelConfig } from '../../reference/config.ts';
import { type Model, prefill, step } from '../../reference/model.ts';
import { newState } from '../../reference/state.ts';
import { print } from '../report.ts';
import { installPeers } from './install.ts';
import { openLlama } from './llama.ts';
import { tokensOf } from './models.ts';

const DTYPES: GgufDtype[] = ['F32', 'F16', 'BF16', 'Q8_0', 'Q4_0'];
const PROMPT = 12;
const GREEDY = 48;
/**
 * How far logits may be apart, as a share of the largest. The weights are the same numbers, but llama.cpp rounds the
 * activations of every product as well: to 11 bits beside F16, to 8 beside BF16 and blocks (0.2 is bench:peers' for
 * int8). So each format is also tried on the embedding alone, whose rows are looked up and rounded no further.
 */
const ALLOWED: Record<GgufDtype, number> = {
  F32: 1e-4,
  F16: 0.01,
  BF16: 0.1,
  Q8_0: 0.2,
  Q4_0: 0.2,
};

const norm = { kind: 'rms', eps: 1e-5 } as const;
const mlp = { kind: 'swiglu', dHidden: 256, hasBias: false } as const;
const mamba: LayerConfig['mixer'] = {
  ...{ kind: 'mamba', dInner: 256, dState: 16, dConv: 4, dtRank: 8 },
  ...{ hasBias: false, hasConvBias: true },
};
const mamba2: LayerConfig['mixer'] = {
  ...{ kind: 'mamba2', dInner: 256, nHeads: 8, headDim: 32, nGroups: 2, dState: 16, dConv: 4 },
  gatedNorm: { eps: norm.eps, groupSize: 128, normBeforeGate: false },
  ...{ hasDPerChannel: false, hasBias: false, hasConvBias: true },
};
const attention: LayerConfig['mixer'] = {
  ...{ kind: 'attention', nHeads: 4, nKvHeads: 2, headDim: 32 },
  ...{ hasQkvBias: false, hasOutBias: false },
};
const rope = { rotaryDim: 32, theta: 10_000, pairing: 'half' } as const;
const factors = { factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalContext: 8192 };
const stretched = { ...rope, scaling: { kind: 'llama3', ...factors } } as const;

const config = (layers: readonly LayerConfig[], isTied: boolean): ModelConfig => ({
  ...{ vocabSize: 320, vocabRows: 320, dModel: 128, layers },
  ...{ finalNorm: norm, isTied, hasHeadBias: false },
});
const RANDOM: Record<string, ModelConfig> = {
  mamba: config(
    [1, 2, 3].map(() => ({ norm, mixer: mamba })),
    true,
  ),
  mamba2: config(
    [1, 2, 3].map(() => ({ norm, mixer: mamba2 })),
    false,
  ),
  llama: config(
    [1, 2, 3].map(() => ({ norm, mixer: { ...attention, rope }, mlp })),
    false,
  ),
  'llama 3': config(
    [1, 2, 3].map(() => ({ norm, mixer: { ...attention, rope: stretched }, mlp })),
    true,
  ),
  granitehybrid: config(
    [mamba2, attention, mamba2].map((mixer) => ({ norm, mixer, mlp })),
    true,
  ),
};

installPeers(['llama.cpp']);
const temporary = await mkdtemp(join(tmpdir(), 'selscan-'));
try {
  for (const [name, model] of Object.entries(RANDOM)) {
    await compare(`random ${name}`, modelOf({ config: model, seed: 1 }, 'float32'));
  }
  for (const folder of process.argv.slice(2)) {
    await compare(basename(folder), (await loadModel(folder)).model);
  }
} finally {
  await rm(temporary, { recursive: true, force: true });
}
process.exit();

async function compare(name: string, model: Model): Promise<void> {
  const source = { config: model.config, weight: (w: string) => weightNamed(model, w) };
  for (const dtype of DTYPES) {
    const file = join(temporary, 'model.gguf');
    await writeGguf(file, source, { dtype });
    await compareFile(name, dtype, file, ALLOWED[dtype]);
    if (model.config.isTied || dtype === 'F32') continue;
    const { metadata, tensors } = ggufModel(source, 'F32');
    const mixed = tensors.map((t) => (t.name === 'token_embd.weight' ? { ...t, dtype } : t));
    await writeAtomically(file, encodeGguf(file, metadata, mixed));
    await compareFile(`${name}, embedding`, dtype, file, ALLOWED.F32);
  }
}

async function compareFile(name: string, dtype: GgufDtype, file: string, allowed: number) {
  const { model: ours } = await loadModel(file);
  const prompt = tokensOf(ours.config, PROMPT, 0);
  const { chain, logits } = greedy(ours, prompt);
  const cell = { model: name, dtype: 'f32', threads: 1, batch: 1, context: 128 } as const;
  const llama = await openLlama(file, cell);
  const [theirs] = await llama.logits([prompt], [chain.slice(0, -1)]);
  await llama.close();
  let [apart, largest, same] = [0, 0, 0];
  for (const [t, want] of logits.entries()) {
    const got = theirs[t];
    // NaN stays, and is more than allowed
    for (const [i, x] of want.entries()) {
      apart = Math.max(apart, Math.abs(x - got[i]));
      largest = Math.max(largest, Math.abs(x));
    }
    if (got.indexOf(Math.max(...got)) === chain[t]) same++;
  }
  const share = apart / largest;
  const isSame = share <= allowed;
  if (!isSame) process.exitCode = 1;
  print(
    `${name.padEnd(30)} ${dtype.padEnd(5)} ${isSame ? 'same' : 'DIFFERENT'}: logits within ` +
      `${share.toExponential(1)} of the largest, ${same} of ${chain.length} greedy tokens alike`,
  );
}

/** Our likeliest tokens, each after those before it, and the logits that they were taken from. */
function greedy(model: Model, prompt: readonly number[]) {
  const state = newState(model.config, model.precision);
  const logits: number[][] = [];
  const chain: number[] = [];
  let row = [...prefill({ model, state, tokens: prompt }).logits.data].slice(
    -model.config.vocabRows,
  );
  for (let t = 0; t < GREEDY; t++) {
    logits.push(row);
    chain.push(row.indexOf(Math.max(...row)));
    if (t < GREEDY - 1) row = [...step(model, state, chain[t])];
  }
  return { chain, logits };
}
