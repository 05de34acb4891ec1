/** Whether the numbers of a model's config can be a model at all. */

import type { LayerConfig, MixerConfig, ModelConfig, NormConfig, SsdConfig } from './config.ts';
import { ConfigError } from './errors.ts';

/**
 * Checks every number of a config: sizes are whole and positive, and divide each other where heads share
 * groups or keys.
 * @throws ConfigError naming the layer, the field and its range.
 */
export function checkConfig(config: ModelConfig): void {
  const { vocabSize, vocabRows, contextLength } = config;
  expectSizes('config', { vocabSize, vocabRows, dModel: config.dModel });
  if (vocabSize > vocabRows) {
    throw new ConfigError(
      `config: vocabSize: expected at most vocabRows = ${vocabRows}, got ${vocabSize}`,
    );
  }
  if (contextLength !== undefined) expectSizes('config', { contextLength });
  config.layers.forEach((layer, i) => {
    checkLayer(`config: layers[${i}]`, layer);
  });
  checkNorm('config: finalNorm', config.finalNorm);
}

function checkLayer(who: string, { norm, mixer, mlp }: LayerConfig): void {
  checkNorm(`${who}.norm`, norm);
  checkMixer(`${who}.mixer`, mixer);
  if (mlp) expectSizes(`${who}.mlp`, { dHidden: mlp.dHidden });
}

function checkNorm(who: string, { eps }: NormConfig): void {
  if (!(eps > 0 && eps < Number.POSITIVE_INFINITY)) {
    throw new ConfigError(`${who}.eps: expected a number > 0, got ${eps}`);
  }
}

function checkMixer(who: string, mixer: MixerConfig): void {
  switch (mixer.kind) {
    case 'mamba': {
      const { dInner, dState, dConv, dtRank } = mixer;
      expectSizes(who, { dInner, dState, dConv, dtRank });
      return;
    }
    case 'mamba2': {
      const { dInner, nGroups } = mixer;
      expectSizes(who, { dInner, nGroups });
      expectDivisor(who, { nGroups }, { nHeads: mixer.nHeads });
      checkSsd(who, mixer, dInner);
      return;
    }
    case 'discreteMamba2': {
      const { nHeads, headDim, nGroups, dState, dConv } = mixer;
      expectSizes(who, { nHeads, headDim, nGroups, dState, dConv });
      expectDivisor(who, { nGroups }, { nHeads });
      return;
    }
    case 'mambaInLlama': {
      const { dInner, dXb, dState, dConv, dtRank } = mixer;
      expectSizes(who, { dInner, dXb, dState, dConv, dtRank });
      expectDivisor(who, { dState }, { dXb });
      expectDivisor(who, { dXb }, { dInner });
      return;
    }
    case 'mambaInLlama2': {
      const { nHeads, headDim, dXb, dState } = mixer;
      expectSizes(who, { dXb });
      expectDivisor(who, { dXb }, { nHeads·headDim: nHeads * headDim });
      if (headDim !== dState) {
        throw new ConfigError(
          `${who}.headDim: expected dState = ${dState}, got ${headDim}; its heads are dState wide`,
        );
      }
      expectDivisor(who, { headDim }, { dXb });
      checkSsd(who, mixer, nHeads * headDim);
      return;
    }
    case 'attention': {
      const { nHeads, nKvHeads, headDim, rope, dConv = 1, dParallelMlp = 1 } = mixer;
      expectSizes(who, { nHeads, nKvHeads, headDim, dConv, dParallelMlp });
      expectDivisor(who, { nKvHeads }, { nHeads });
      if (rope && !(rope.rotaryDim >= 2 && rope.rotaryDim <= headDim && rope.rotaryDim % 2 === 0)) {
        throw new ConfigError(
          `${who}.rope.rotaryDim: expected an even number from 2 to headDim = ${headDim}, got ${rope.rotaryDim}`,
        );
      }
      return;
    }
    default:
      throw new ConfigError(
        `${who}.kind: expected mamba, mamba2, discreteMamba2, mambaInLlama, mambaInLlama2 or attention, ` +
          `got ${String((mixer as { kind?: unknown }).kind)}`,
      );
  }
}

/** What Mamba-2 and its MambaInLlama variant share. */
function checkSsd(who: string, config: SsdConfig, dInner: number): void {
  const { nHeads, headDim, dState, dConv, gatedNorm, dtLimit } = config;
  expectSizes(who, { nHeads, headDim, dState, dConv });
  if (nHeads * headDim > dInner) {
    throw new ConfigError(
      `${who}.dInner: expected at least nHeads·headDim = ${nHeads * headDim}, got ${dInner}`,
    );
  }
  if (gatedNorm) {
    expectSizes(who, { 'gatedNorm.groupSize': gatedNorm.groupSize });
    const { groupSize } = gatedNorm;
    expectDivisor(who, { 'gatedNorm.groupSize': groupSize }, { nHeads·headDim: nHeads * headDim });
    checkNorm(`${who}.gatedNorm`, { kind: 'rms', eps: gatedNorm.eps });
  }
  if (dtLimit && !(dtLimit[0] >= 0 && dtLimit[0] <= dtLimit[1])) {
    throw new ConfigError(`${who}.dtLimit: expected 0 ≤ min ≤ max, got [${dtLimit.join(', ')}]`);
  }
}

function expectSizes(who: string, sizes: Record<string, number>): void {
  for (const [name, size] of Object.entries(sizes)) {
    if (!Number.isSafeInteger(size) || size < 1) {
      throw new ConfigError(`${who}.${name}: expected a whole number ≥ 1, got ${size}`);
    }
  }
}

function expectDivisor(
  who: string,
  divisor: Record<string, number>,
  whole: Record<string, number>,
): void {
  const [[divisorName, n]] = Object.entries(divisor);
  const [[wholeName, width]] = Object.entries(whole);
  if (width % n !== 0) {
    throw new ConfigError(
      `${who}.${divisorName}: expected a divisor of ${wholeName} = ${width}, got ${n}`,
    );
  }
}
