/** WebGPU in Node: the optional package `webgpu` (Dawn) behind the `navigator.gpu` that browsers have. */

import { BackendError } from '../../reference/errors.ts';

interface Dawn {
  create(options: readonly string[]): unknown;
}

/**
 * Makes sure that there is a `navigator.gpu`; one that is there already is left alone.
 * @throws BackendError with code PeerMissing without the package, NoAdapter where nothing can run.
 */
export async function ensureWebgpu(): Promise<void> {
  const { navigator } = globalThis as { navigator?: { gpu?: unknown } };
  if (!navigator?.gpu) await defineGpu(navigator);
  const { gpu } = (globalThis as unknown as { navigator: { gpu: GpuEntry } }).navigator;
  if ((await gpu.requestAdapter()) === null) {
    throw new BackendError(
      'gpujs:webgpu: expected a WebGPU adapter, found none; install a Vulkan driver and libvulkan1 ' +
        '(software: VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json)',
      'NoAdapter',
    );
  }
}

interface GpuEntry {
  requestAdapter(): Promise<unknown>;
}

async function defineGpu(navigator: { gpu?: unknown } | undefined): Promise<void> {
  if (typeof process === 'undefined') {
    throw new BackendError(
      'gpujs:webgpu: expected navigator.gpu, which this browser does not have; use gpujs:webgl2',
      'NoAdapter',
    );
  }
  let dawn: Dawn;
  try {
    const name = 'webgpu'; // not for bundlers: browsers have their own
    dawn = (await import(/* @vite-ignore */ name)) as Dawn;
  } catch (error) {
    throw new BackendError(
      `gpujs:webgpu: expected the package webgpu, got ${(error as Error).message.split('\n')[0]}; ` +
        'npm install webgpu',
      'PeerMissing',
    );
  }
  const value = dawn.create([]);
  if (navigator) Object.defineProperty(navigator, 'gpu', { value, configurable: true });
  else
    Object.defineProperty(globalThis, 'navigator', { value: { gpu: value }, configurable: true });
}
