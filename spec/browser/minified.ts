/** What a page bundles to run kernels on its GPU. */

export { openGpujs } from '../../backends/gpujs/index.ts';
