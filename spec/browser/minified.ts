/** What a page would bundle to decode on its GPU. */

export { openGpujs } from '../../backends/gpujs/index.ts';
export { loadOn } from '../../lib/backend.ts';
