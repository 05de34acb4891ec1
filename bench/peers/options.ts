/** What can be chosen on the command line. */

import { parseArgs } from 'node:util';
import { REAL_MODELS } from '../realModels.ts';
import { failAs, listed, nodeAt, parsedOrEnd, unknownIn } from './flags.ts';
import type { Dtype, Who } from './protocol.ts';

export interface PeerOptions {
  readonly models: readonly string[];
  readonly dtypes: readonly Dtype[];
  readonly batches: readonly number[];
  readonly threads: readonly number[];
  /** Lengths of prompts that are taken in. */
  readonly prefill: readonly number[];
  readonly rounds: number;
  readonly seconds: number;
  /** Only so many layers of each model. */
  readonly layers?: number;
  readonly backend: string;
  readonly sides: readonly Who[];
  /** Another Node for our side. */
  readonly node?: string;
  readonly flags: readonly string[];
  /** Tokens that llama.cpp takes in at once while decoding, instead of its default. */
  readonly peerBatch?: number;
  readonly json?: string;
  readonly svg?: string;
}

const SIDES: readonly Who[] = ['ours', 'llama.cpp'];
const DTYPES: readonly Dtype[] = ['f32', 'int8'];

const USAGE = `npm run bench:peers -- [options]
  --models a,b      of ${Object.keys(REAL_MODELS).join(', ')}; default: mamba,mamba2,transformer,hybrid
  --dtypes a,b      of ${DTYPES.join(', ')}; default: both
  --batches 1,8     default: 1,8,64,128
  --threads 1,2     default: both
  --prefill 512     lengths of prompts; 0 for none
  --rounds n        default: 7
  --seconds n       of a side in a round, about; default: 2
  --layers n        the last n layers only: a look at whether everything works
  --ours NAME       our backend; default: wasm. "reference" is the oracle, for tiny models
  --only SIDE       of ${SIDES.join(', ')}
  --node PATH       another Node for our side; "24" for the one in bench/peers, which has relaxed SIMD
  --flags "--x --y" that Node is started with
  --peer-batch n    llama.cpp's batchSize while decoding: less needs less memory; default: its own, 512
  --json FILE       all numbers
  --svg FILE        a plot`;

const fail = failAs('bench:peers');

/** Ends the process with a line where something is asked for that there is not. */
export function readOptions(args: readonly string[]): PeerOptions {
  const text = (fallback?: string) => ({ type: 'string' as const, default: fallback });
  const values = parsedOrEnd(parse, USAGE, fail);
  const node = nodeAt(values.node);
  return {
    models: among('models', values.models, Object.keys(REAL_MODELS)),
    dtypes: among('dtypes', values.dtypes, DTYPES),
    batches: numbers('batches', values.batches),
    threads: numbers('threads', values.threads),
    prefill: numbers('prefill', values.prefill, 0).filter((length) => length > 0),
    rounds: numbers('rounds', values.rounds)[0],
    seconds: Number(values.seconds),
    ...(values.layers && { layers: numbers('layers', values.layers)[0] }),
    backend: values.ours ?? 'wasm',
    sides: values.only ? among('only', values.only, SIDES) : SIDES,
    ...(node && { node }),
    flags: (values.flags ?? '').split(' ').filter(Boolean),
    ...(values['peer-batch'] && { peerBatch: numbers('peer-batch', values['peer-batch'])[0] }),
    ...(values.json && { json: values.json }),
    ...(values.svg && { svg: values.svg }),
  };

  function parse() {
    return parseArgs({
      args: [...args],
      options: {
        help: { type: 'boolean', default: false },
        models: text('mamba,mamba2,transformer,hybrid'),
        dtypes: text(DTYPES.join()),
        batches: text('1,8,64,128'),
        threads: text('1,2'),
        prefill: text('512'),
        rounds: text('7'),
        seconds: text('2'),
        layers: text(),
        ours: text('wasm'),
        only: text(),
        node: text(),
        flags: text(),
        'peer-batch': text(),
        json: text(),
        svg: text(),
      },
    }).values;
  }
}

function among<T extends string>(name: string, value: string | undefined, all: readonly T[]): T[] {
  const chosen = listed(value);
  const unknown = unknownIn(chosen, all);
  if (unknown !== undefined || chosen.length === 0) {
    return fail(`--${name}: expected some of ${all.join(', ')}, got ${unknown ?? 'none'}`);
  }
  return chosen as T[];
}

function numbers(name: string, value: string | undefined, least = 1): number[] {
  const chosen = listed(value).map(Number);
  const wrong = chosen.find((n) => !Number.isInteger(n) || n < least);
  if (wrong !== undefined || chosen.length === 0) {
    return fail(`--${name}: expected whole numbers ≥ ${least}, got ${value}`);
  }
  return chosen;
}
