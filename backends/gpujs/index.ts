/** The gpu.js backend: portable kernels in five modes, one executor. */

import type { Backend } from '../types.ts';
import { Device, type DeviceOptions, type Mode } from './device.ts';
import { gpujsExecutor } from './executor.ts';
import { gpujsOps } from './ops.ts';

export type { DeviceOptions, Mode } from './device.ts';

/**
 * Opens a mode of gpu.js.
 * @throws BackendError with code PeerMissing where gpu.js (or webgpu, in Node) is not installed, NoAdapter where
 *   the mode cannot run here, Fallback where gpu.js ran another one.
 */
export async function openGpujs(mode: Mode, options: DeviceOptions = {}): Promise<Backend> {
  const device = await Device.open(mode, options);
  return {
    get info() {
      return device.info;
    },
    ops: gpujsOps(device),
    load: (model) => gpujsExecutor(device, model),
    close: () => device.dispose(),
  };
}
