/** How numbers get to a device and move on it: places for uploads, columns joined, repeated and picked. */

import { afterEach, describe, expect, it, vi } from 'vitest';
import { joinColumns, pickRows, repeatColumns } from '../backends/gpujs/columns.ts';
import { Device } from '../backends/gpujs/device.ts';
import type { Dims, Handle, KernelSpec } from '../backends/gpujs/kernel.ts';

describe.each(['cpu', 'webasm'] as const)('columns in gpujs:%s', (mode) => {
  it('are joined, repeated and picked', async () => {
    const device = await Device.open(mode);
    const rows = (dims: Dims, ...data: number[]) => device.upload(Float32Array.from(data), dims);
    const run = async (spec: KernelSpec, ...args: Handle[]) =>
      device.read(await device.newKernel(spec).run(...args));
    const a = await rows([3, 2], 1, 2, 3, 4, 5, 6);
    const b = await rows([2, 2], 10, 20, 30, 40);
    const parts = [
      { from: 1, width: 2 },
      { from: 1, width: 1 },
      { from: 0, width: 2 },
    ];
    expect([...(await run(joinColumns(2, parts), a, b, a))]).toEqual([
      2, 3, 20, 1, 2, 5, 6, 40, 4, 5,
    ]);
    const sizes = { tokens: 1, columns: 4, xFrom: 1, width: 2, times: 2 };
    const wide = await rows([5, 1], 9, 1, 2, 3, 4);
    expect([...(await run(repeatColumns(sizes), wide))]).toEqual([1, 2, 1, 2, 3, 4, 3, 4]);
    const picked = await run(pickRows({ rows: 3, width: 2 }), b, await rows([3], 1, 0, 1));
    expect([...picked]).toEqual([30, 40, 10, 20, 30, 40]);
    await device.dispose();
  });
});

describe('in GL modes', () => {
  afterEach(() => {
    vi.doUnmock('gpu.js');
    vi.resetModules();
  });

  /**
   * gpu.js as it is in GL modes: a kernel returns the same texture every time, and deleting it is for good. All
   * kernels draw the vertices of the one built last; when those are destroyed, nothing is drawn and nothing said.
   */
  const inGl = () => {
    let vertices: object | undefined;
    class GPU {
      createKernel = (source: string) => {
        const texture = { rows: [] as number[][], isDeleted: false };
        const value = {
          toArray: () => texture.rows.map((row) => Float32Array.from(row)),
          delete: () => {
            texture.isDeleted = true;
          },
        };
        let isBuilt = false;
        const destroy = () => {
          if (vertices === texture) vertices = undefined;
        };
        const added = source.includes('+ 1') ? 1 : 0;
        const call = (given: { rows: number[][] } | typeof value) => {
          if (texture.isDeleted) throw new Error('attempt to use a deleted object');
          if (!isBuilt) vertices = texture;
          isBuilt = true;
          if (!vertices) return value;
          const rows: ArrayLike<number>[] = 'toArray' in given ? given.toArray() : given.rows;
          texture.rows = rows.map((row) => Array.from(row, (v) => v + added));
          return value;
        };
        return Object.assign(call, { kernel: { constructor: { mode: 'gpu' } }, destroy });
      };
      destroy = async () => {};
    }
    const input = (data: Float32Array, [width]: number[]) => ({
      rows: Array.from({ length: data.length / width }, (_, r) =>
        Array.from(data.subarray(r * width, (r + 1) * width)),
      ),
    });
    return { GPU, input };
  };

  const openInGl = async () => {
    vi.resetModules();
    vi.doMock('gpu.js', inGl);
    const { Device: InGl } = await import('../backends/gpujs/device.ts');
    return InGl.open('webgl2');
  };

  it('a place for uploads keeps its texture from call to call', async () => {
    const device = await openInGl();
    for (const n of [1, 2, 3]) {
      const handle = await device.uploadTo('tokens', new Float32Array([n, n]), [2, 1]);
      expect([...(await device.read(handle))]).toEqual([n, n]);
    }
  });

  it('a kernel goes on drawing when the one built after it is destroyed', async () => {
    const device = await openInGl();
    const source = 'function (a) { return a[this.thread.y][this.thread.x] + 1; }';
    const spec = { name: 'next', source, output: [2, 1], constants: {} };
    const [first, second] = [device.newKernel(spec), device.newKernel(spec)];
    const upload = (n: number) => device.uploadTo('n', new Float32Array([n, n]), [2, 1]);
    await first.run(await upload(1));
    await second.run(await upload(1));
    second.destroy();
    expect([...(await device.read(await first.run(await upload(5))))]).toEqual([6, 6]);
    await device.dispose();
  });
});
