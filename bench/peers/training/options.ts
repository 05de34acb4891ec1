/** What can be chosen on the command line, and which peers are there. */

import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SHAPES } from '../../training.bench.ts';
import { failAs, listed, nodeAt, parsedOrEnd, unknownIn } from '../flags.ts';
import type { Who } from './protocol.ts';

export interface TrainingPeerOptions {
  readonly models: readonly string[];
  /** Batch and seqlen. */
  readonly shapes: readonly (readonly [number, number])[];
  readonly threads: readonly number[];
  readonly peers: readonly Who[];
  readonly rounds: number;
  readonly seconds: number;
  readonly python: string;
  readonly node: string;
  readonly json?: string;
}

export const MODELS = ['teacher', 'pure'] as const;
const PEERS = ['pytorch', 'jax-js'] as const;
const fail = failAs('bench:training-peers');
const peersFolder = fileURLToPath(new URL('..', import.meta.url));

const USAGE = `npm run bench:training-peers -- [options]
  --models a,b      of ${MODELS.join(', ')}; default: both
  --shapes 48x96    batch x seqlen; default: ${SHAPES.map((shape) => shape.join('x')).join(',')}
  --threads 1,2     default: both; jax-js has one
  --peers a,b       of ${PEERS.join(', ')}; default: both
  --rounds n        default: 7
  --seconds n       of a contestant in a round, about; default: 2
  --python PATH     that imports torch; default: /usr/bin/python3, Debian's
  --node PATH       for ours and jax-js; "24" for the one in bench/peers, which has relaxed SIMD
  --json FILE       all numbers`;

/** Ends the process with a line where something is asked for that there is not. */
export function readOptions(args: readonly string[]): TrainingPeerOptions {
  const text = (fallback?: string) => ({ type: 'string' as const, default: fallback });
  const parse = () =>
    parseArgs({
      args: [...args],
      options: {
        help: { type: 'boolean', default: false },
        models: text(MODELS.join()),
        shapes: text(SHAPES.map((shape) => shape.join('x')).join()),
        threads: text('1,2'),
        peers: text(PEERS.join()),
        rounds: text('7'),
        seconds: text('2'),
        python: text('/usr/bin/python3'),
        node: text(process.execPath),
        json: text(),
      },
    }).values;
  const values = parsedOrEnd(parse, USAGE, fail);
  const { json, python = '', node = '' } = values;
  return {
    models: among('models', values.models, MODELS),
    shapes: listed(values.shapes).map(shapeOf),
    threads: listed(values.threads).map((one) => whole('threads', one)),
    peers: among('peers', values.peers, PEERS),
    rounds: whole('rounds', values.rounds),
    seconds: positive('seconds', values.seconds),
    python,
    node: nodeAt(node) ?? '',
    ...(json !== undefined && { json }),
  };
}

/** How to install a peer that is not here; undefined where it is. */
export function missing(peer: Who, python: string): string | undefined {
  if (peer === 'pytorch') {
    try {
      execFileSync(python, ['-c', 'import torch'], { stdio: 'ignore' });
      return undefined;
    } catch {
      return `apt-get install -y python3-torch libopenblas0   # ${python} cannot import torch`;
    }
  }
  if (existsSync(`${peersFolder}node_modules/@jax-js/jax/package.json`)) return undefined;
  return `npm ci --prefix ${peersFolder}`;
}

function among<T extends string>(name: string, value: string | undefined, all: readonly T[]): T[] {
  const chosen = listed(value);
  const unknown = unknownIn(chosen, all);
  if (unknown === undefined) return chosen as T[];
  return fail(`--${name}: expected some of ${all.join(', ')}, got ${unknown}`);
}

function shapeOf(text: string): readonly [number, number] {
  const [batch, seqlen, ...rest] = text.split('x').map((part) => whole('shapes', part));
  if (seqlen === undefined || rest.length > 0) {
    return fail(`--shapes: expected batch x seqlen as in 48x96, got ${text}`);
  }
  return [batch, seqlen];
}

function whole(name: string, value = ''): number {
  const n = Number(value);
  if (value !== '' && Number.isInteger(n) && n >= 1) return n;
  return fail(`--${name}: expected whole numbers ≥ 1, got ${value}`);
}

function positive(name: string, value = ''): number {
  const n = Number(value);
  return n > 0 ? n : fail(`--${name}: expected a number > 0, got ${value}`);
}
