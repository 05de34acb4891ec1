/** The WASM backend: SIMD kernels in AssemblyScript, a team of threads, one program per plan. */

import { BackendError } from '../../reference/errors.ts';
import type { Backend, BackendInfo, WeightFormat } from '../types.ts';
import { wasmExecutor } from './executor.ts';
import { Kernels, type KernelsOptions } from './kernels.ts';
import { wasmOps } from './ops.ts';

export interface WasmOptions extends KernelsOptions {
  /** How the matrices are stored. Default float32. */
  weights?: WeightFormat;
}

/**
 * Opens the kernels.
 * @throws BackendError with code NoSimd, NoThreads, OutOfMemory, or Range for options out of range.
 */
export async function openWasm(options: WasmOptions = {}): Promise<Backend> {
  const { weights = 'float32' } = options;
  if (weights !== 'float32' && weights !== 'int8') {
    throw new BackendError(`weights: expected float32 or int8, got ${weights}`, 'Range');
  }
  const kernels = await Kernels.start(options);
  const info: BackendInfo = {
    backend: 'wasm',
    precision: 'float32',
    arithmetic: 'ieee',
    mode: kernels.simd === 'relaxed' ? 'relaxed SIMD' : 'SIMD',
    threads: kernels.threads,
    weights,
  };
  return {
    info,
    ops: wasmOps(kernels),
    load: async (model) => wasmExecutor(kernels, () => info, model),
    close: () => kernels.close(),
  };
}
