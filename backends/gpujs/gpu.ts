/** The one place that touches gpu.js: its types are incomplete, and it is installed only by who wants it. */

import { BackendError } from '../../reference/errors.ts';
import type { Dims } from './kernel.ts';

/** What a kernel returns with `pipeline: true`: nested arrays on the CPU, a buffer or texture on a GPU. */
export interface GpuValue {
  toArray?(): Promise<unknown> | unknown;
  delete?(): void;
}

/** A kernel as gpu.js makes it. */
export interface GpuKernel {
  (...args: unknown[]): Promise<GpuValue> | GpuValue;
  /** What really runs it; another one after gpu.js has fallen back. */
  readonly kernel: {
    readonly constructor: { readonly mode: string; readonly name: string };
    readonly fallbackReason?: string | null;
    /** The GL context, in GL modes. */
    readonly context?: unknown;
  };
  destroy(removesCanvas?: boolean): void;
}

export interface GpuKernelSettings {
  output: Dims;
  constants: Readonly<Record<string, number>>;
  pipeline: boolean;
  immutable?: boolean;
  precision: 'single';
  tactic: 'precision';
  loopMaxIterations: number;
}

export interface GpuJs {
  GPU: new (settings: {
    mode: string;
  }) => {
    createKernel(source: string, settings: GpuKernelSettings): GpuKernel;
    destroy(): Promise<void>;
  };
  /** A flat array with dimensions. */
  input(data: Float32Array, dims: Dims): unknown;
  WebGPUContext: {
    acquire(): Promise<{
      adapter: { info?: { vendor?: string; description?: string; architecture?: string } };
      device: { queue: { onSubmittedWorkDone(): Promise<void> } };
    }>;
  };
}

/** @throws BackendError with code PeerMissing where gpu.js is not installed. */
export async function importGpuJs(): Promise<GpuJs> {
  try {
    const module = (await import('gpu.js')) as unknown as GpuJs & { default?: GpuJs };
    return module.GPU ? module : (module.default as GpuJs);
  } catch (error) {
    throw new BackendError(
      `gpujs: expected the package gpu.js, got ${(error as Error).message.split('\n')[0]}; ` +
        'npm install gpu.js@2.24.1',
      'PeerMissing',
    );
  }
}
