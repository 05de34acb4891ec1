/** Programs of others behind `openExec`: right, wrong and broken. */

import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  acceptsInput,
  type ExecError,
  type ExecOptions,
  openExec,
  opNamed,
  opsNamed,
} from '../lib/verify/exec/index.ts';
import { ops } from '../reference/ops.ts';
import { type Tensor, tensor } from '../reference/tensor.ts';
import { path, temporaryFolder } from './support.ts';

describe('names', () => {
  it("are ours, or upstream's with what they take", () => {
    expect(opNamed('selectiveScan')).toEqual({ op: 'selectiveScan' });
    expect(opNamed('selective_scan')).toEqual({ op: 'selectiveScan', golden: 'selective_scan' });
    expect(opNamed('ssd_scan')).toEqual({ op: 'ssd', golden: 'ssd_scan' });
    expect(opNamed('attention')).toEqual({ op: 'attention' });
    expect(opNamed('linear')).toEqual({ op: 'linear' });
    expect(opNamed('selective')).toBeUndefined();
    expect(opNamed('toString')).toBeUndefined();
    expect(opsNamed('activations').map(({ op }) => op)).toEqual(['softplus', 'silu', 'sigmoid']);
  });

  it("are narrower when they are upstream's", () => {
    const scan = { ...scanInput(), h: tensor([1, 2, 1], [0, 0]) };
    const taking = ['selective_scan', 'selective_scan_init', undefined];
    expect(taking.map((name) => acceptsInput('selectiveScan', scan, name))).toEqual([
      false,
      true,
      true,
    ]);
    const conv = (width: number) => ({
      x: tensor([1, 1, 1], [1]),
      weight: tensor([1, width], new Float64Array(width)),
      activation: 'identity',
    });
    expect([1, 2, 4, 5].map((w) => acceptsInput('causalConv1d', conv(w), 'causal_conv1d'))).toEqual(
      [false, true, true, false],
    );
    expect(acceptsInput('causalConv1d', conv(5))).toBe(true);
    expect(acceptsInput('linear', {})).toBe(false);
    const empty = { x: tensor([0, 3], []) };
    expect(acceptsInput('softplus', empty)).toBe(false);
  });
});

function scanInput() {
  return {
    x: tensor([1, 1, 2], [1, 2]),
    dtRaw: tensor([1, 1, 2], [0, 0]),
    A: tensor([2, 1], [-1, -1]),
    B: tensor([1, 1, 1, 1], [1]),
    C: tensor([1, 1, 1, 1], [1]),
  };
}

describe('a program', () => {
  const folder = temporaryFolder();
  const { TMPDIR } = process.env;
  beforeAll(() => {
    process.env.TMPDIR = mkdtempSync(join(folder, 'tmp-'));
  });
  afterAll(() => {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
  });
  const program = join(folder, "it's a program.mjs");
  copyFileSync(path('spec/faultyProgram.mjs'), program);
  const quoted = program.replaceAll("'", "'\\''");
  let opened = 0;

  /** The program with a fault, and how many cases each of its starts was given. */
  async function open(fault: string, options: ExecOptions = {}) {
    const log = join(folder, `${opened++}.log`);
    const command = `"${process.execPath}" '${quoted}' ${fault} '${log}'`;
    const exec = await openExec(command, options);
    const launches = () =>
      existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n').map(Number) : [];
    const softplus = (...x: number[]) => exec.run('softplus', { x: tensor([x.length], x) });
    return { ...exec, softplus, launches };
  }

  /** What became of some calls made together: first numbers, or codes of errors. */
  async function outcomes(calls: readonly Promise<{ y: Tensor }>[]) {
    const settled = await Promise.allSettled(calls);
    return settled.map((call) =>
      call.status === 'fulfilled' ? call.value.y.data[0] : (call.reason as ExecError).code,
    );
  }

  const leftBehind = () => readdirSync(tmpdir());

  it('is started once for calls that are made together', async () => {
    const { softplus, launches } = await open('none');
    const xs = Array.from({ length: 40 }, (_, i) => i);
    const got = await Promise.all(
      xs.map(async (x) => {
        await Promise.resolve();
        return (await softplus(x, -x)).y;
      }),
    );
    for (const [i, y] of got.entries()) {
      expect(y.shape).toEqual([2]);
      expect(y.data[0]).toBeCloseTo(ops.softplus({ x: tensor([1], [xs[i]]) }).y.data[0], 12);
    }
    expect(launches()).toEqual([40]);
    await softplus(1);
    await Promise.all([softplus(2), softplus(3)]);
    expect(launches()).toEqual([40, 1, 2]);
  });

  it('is given at most 500 cases at once', async () => {
    const { softplus, launches, concurrency } = await open('none');
    await Promise.all(Array.from({ length: 501 }, (_, i) => softplus(i)));
    expect(launches()).toEqual([500, 1]);
    expect(concurrency).toBe(500);
  });

  it('may talk', async () => {
    const { softplus } = await open('every-talk');
    expect(await outcomes([softplus(30)])).toEqual([30]);
  });

  it.each([
    [
      'crash',
      'ExecFailed',
      /case activations-000000: expected exit code 0, got 1; last words: .*v\d/,
    ],
    ['exit', 'ExecFailed', /got 3; last words: second \| third \| last words$/],
    ['kill', 'ExecFailed', /got (SIGKILL|137 \(SIGKILL\)); /],
    ['missing', 'ExecOutput', /activations-000000\.safetensors: no such file/],
    ['garbage', 'ExecOutput', /activations-000000\.safetensors: /],
    ['shape', 'ExecOutput', /out\.softplus: expected shape \[1\], got \[1, 1\]/],
    ['name', 'ExecOutput', /expected tensor "out\.softplus", got none \(first: out\.y\)/],
  ])('that fails by %s fails with %s', async (fault, code, message) => {
    const { softplus } = await open(fault);
    const error: ExecError = await softplus(666).then(
      () => expect.fail('it passed'),
      (reason) => reason,
    );
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.message).not.toMatch(/[\u0000-\u001f]/);
    expect(leftBehind()).toEqual([]);
  });

  it.each(['missing', 'garbage', 'shape'])(
    'that fails one case by %s answers the others',
    async (fault) => {
      const { softplus, launches } = await open(fault);
      const got = await outcomes([softplus(30), softplus(666), softplus(40)]);
      expect(got).toEqual([30, 'ExecOutput', 40]);
      expect(launches()).toEqual([3]);
    },
  );

  it('that crashes on one case answers those before it, and fails alone on that one', async () => {
    const { softplus, launches } = await open('crash');
    const xs = Array.from({ length: 64 }, (_, i) => (i === 37 ? 666 : 30 + i));
    const got = await outcomes(xs.map((x) => softplus(x)));
    expect(got).toEqual(xs.map((x, i) => (i < 37 ? x : 'ExecFailed')));
    expect(launches().length).toBeLessThan(12);
    expect(launches().at(-1)).toBe(1);
  });

  it('that always crashes is started twice', async () => {
    const { softplus, launches } = await open('every-crash');
    const got = await outcomes(Array.from({ length: 64 }, (_, i) => softplus(i)));
    expect(got).toEqual(Array(64).fill('ExecFailed'));
    expect(launches()).toEqual([64, 1]);
  });

  it('that hangs is ended with all that it started', async () => {
    // long enough for the program to start and speak on a machine that has other work
    const { softplus, launches } = await open('every-hang', { timeoutSeconds: 5 });
    const start = performance.now();
    expect(await outcomes([softplus(1), softplus(2)])).toEqual(['ExecTimeout', 'ExecTimeout']);
    expect(launches()).toEqual([2, 1]);
    expect(performance.now() - start).toBeLessThan(40_000);
    await expect(softplus(1)).rejects.toThrow(
      /expected an end within 5 s, got none; last words: waiting/,
    );
    expect(leftBehind()).toEqual([]);
  }, 60_000);

  it('that hangs on one case answers those before it within its time', async () => {
    // long enough for the program to start and answer on a machine that has other work
    const { softplus, launches } = await open('hang', { timeoutSeconds: 5 });
    const xs = [30, 40, 666, 50, 60];
    const got = await outcomes(xs.map((x) => softplus(x)));
    expect(got).toEqual([30, 40, 'ExecTimeout', 'ExecTimeout', 'ExecTimeout']);
    expect(launches()).toEqual([5, 1]);
  });

  it('that is not there fails with what the shell says', async () => {
    const exec = await openExec('no-such-program-of-mine');
    await expect(exec.run('softplus', { x: tensor([1], [1]) })).rejects.toThrow(
      /no-such-program-of-mine: case activations-000000: expected exit code 0, got 127; last words: .*not found/,
    );
  });

  it('ends when it is aborted or closed', async () => {
    const controller = new AbortController();
    const aborted = await open('every-hang', { signal: controller.signal });
    const waiting = aborted.softplus(1);
    setTimeout(() => controller.abort(new Error('enough')), 300);
    await expect(waiting).rejects.toThrow('enough');
    const closed = await open('every-hang');
    const other = expect(closed.softplus(1)).rejects.toThrow(/closed$/);
    setTimeout(() => void closed.close(), 300);
    await other;
    await closed.close();
    expect(leftBehind()).toEqual([]);
  });

  it('is not asked for ops that it has not, nor for what its vocabulary cannot say', async () => {
    const exec = await openExec('true', {
      ops: ['selectiveScan'],
      golden: new Map([['selectiveScan', 'selective_scan']]),
    });
    const scan = scanInput();
    expect(exec.accepts('selectiveScan', scan)).toBe(true);
    const withState = { ...scan, h: tensor([1, 2, 1], [0, 0]) };
    expect(exec.accepts('selectiveScan', withState)).toBe(false);
    await expect(exec.run('selectiveScan', withState)).rejects.toMatchObject({ code: 'ExecInput' });
    await expect(exec.run('softplus', { x: tensor([1], [1]) })).rejects.toMatchObject({
      code: 'ExecInput',
    });
  });
});
