/** A gpu.js mode that was asked for and is what runs, its kernels, and what lies on it. */

import { BackendError } from '../../reference/errors.ts';
import type { BackendInfo } from '../types.ts';
import { type GpuJs, type GpuKernel, type GpuValue, importGpuJs } from './gpu.ts';
import { type Dims, type Handle, type Kernel, type KernelSpec, keyFor } from './kernel.ts';
import { flat, nested } from './nested.ts';
import { ensureWebgpu } from './nodeWebgpu.ts';

export type Mode = 'cpu' | 'webasm' | 'webgpu' | 'webgl2' | 'headlessgl';

export interface DeviceOptions {
  /** Whether gpu.js may run another mode than was asked for. Default false: that is an error. */
  allowsFallback?: boolean;
}

/**
 * Kernels that are kept for calls of single ops: far more than one op needs. In Chromium each one of webasm takes
 * address space of which there is not much.
 */
const MOST_KERNELS = 128;

const PROBE: KernelSpec = {
  name: 'probe',
  source: 'function (a) { return a[this.thread.y][this.thread.x] + 1; }',
  output: [2, 1],
  constants: {},
};

export class Device {
  readonly mode: Mode;
  readonly #gpuJs: GpuJs;
  readonly #gpu: InstanceType<GpuJs['GPU']>;
  readonly #allowsFallback: boolean;
  readonly #cache = new Map<string, Kernel>();
  readonly #uploads = new Map<string, GpuKernel>();
  readonly #places = new Map<string, { kernel: GpuKernel; last?: GpuValue }>();
  readonly #built = new Set<GpuKernel>();
  /** In GL modes the kernel that ran for the first time last, and whether it is to be destroyed. */
  #youngest?: { kernel: GpuKernel; isDoomed: boolean };
  readonly #ran = new WeakSet<GpuKernel>();
  #fallback?: string;
  #adapter?: string;

  private constructor(gpuJs: GpuJs, mode: Mode, allowsFallback: boolean) {
    this.#gpuJs = gpuJs;
    this.mode = mode;
    this.#allowsFallback = allowsFallback;
    this.#gpu = new gpuJs.GPU({ mode });
  }

  /**
   * Opens a mode and runs a first kernel in it, so that what is missing is known now.
   * @throws BackendError with code PeerMissing, NoAdapter, or Fallback where another mode ran.
   */
  static async open(mode: Mode, { allowsFallback = false }: DeviceOptions = {}): Promise<Device> {
    const gpuJs = await importGpuJs();
    if (mode === 'webgpu') await ensureWebgpu();
    let device: Device;
    try {
      device = new Device(gpuJs, mode, allowsFallback);
    } catch (error) {
      throw new BackendError(
        `gpujs:${mode}: expected this mode to be there, got "${firstLine(error)}"; ` +
          'use gpujs:cpu or gpujs:webasm',
        'NoAdapter',
      );
    }
    const probe = device.newKernel(PROBE);
    const result = await device.read(
      await probe.run(await device.upload(new Float32Array([1, 2]), [2, 1])),
    );
    if (result[0] !== 2 || result[1] !== 3) {
      throw new BackendError(`gpujs:${mode}: expected 2 and 3 of a first kernel, got ${result}`);
    }
    device.#adapter = await device.#nameAdapter();
    return device;
  }

  get info(): BackendInfo {
    const { mode } = this;
    return {
      backend: `gpujs:${mode}`,
      precision: 'float32',
      arithmetic: this.#isHost ? 'ieee' : this.#isGl ? 'glsl' : 'wgsl',
      mode,
      ...(this.#adapter !== undefined && { adapter: this.#adapter }),
      ...(this.#fallback !== undefined && { fallback: this.#fallback }),
    };
  }

  /**
   * The kernel of a spec for such arguments and a place, built once: its output is written over by whoever calls it next. The least
   * recently used are destroyed, so that any number of shapes can pass through.
   */
  kernel(spec: KernelSpec, args: readonly Handle[], place: string): Kernel {
    const key = `${place} ${keyFor(spec, args)}`;
    const known = this.#cache.get(key) ?? this.newKernel(spec);
    this.#cache.delete(key);
    this.#cache.set(key, known);
    if (this.#cache.size > MOST_KERNELS) {
      const [[oldest, kernel]] = this.#cache;
      kernel.destroy();
      this.#cache.delete(oldest);
    }
    return known;
  }

  /** A kernel whose output is its own. */
  newKernel(spec: KernelSpec): Kernel {
    let built: GpuKernel | undefined;
    let last: GpuValue | undefined;
    return {
      spec,
      run: async (...args) => {
        if (spec.inPlace && this.#isHost) {
          spec.inPlace(...(args.map(({ value }) => value) as never[]));
          return args[0];
        }
        built ??= this.#build(spec.source, spec.output, spec.constants);
        const value = await this.#call(
          spec.name,
          built,
          args.map((arg) => arg.value),
        );
        dropReference(last, value);
        last = value;
        return { dims: spec.output, value };
      },
      destroy: () => {
        last?.delete?.();
        if (built && this.#built.delete(built)) this.#destroy(built);
      },
    };
  }

  /** Puts numbers on the device, to stay. */
  async upload(data: Float32Array, dims: Dims): Promise<Handle> {
    if (this.#isHost) return { dims, value: nested(data, dims) };
    const key = `upload ${dims}`;
    let kernel = this.#uploads.get(key);
    if (!kernel) {
      kernel = this.#build(COPY[dims.length - 1], dims, {}, true);
      this.#uploads.set(key, kernel);
    }
    return { dims, value: await this.#call('upload', kernel, [this.#gpuJs.input(data, dims)]) };
  }

  /**
   * Puts numbers that change with every call on the device; each name has one place, which the next call
   * under this name writes over.
   */
  async uploadTo(name: string, data: Float32Array, dims: Dims): Promise<Handle> {
    if (this.#isHost) return { dims, value: nested(data.slice(), dims) };
    const key = `${name} ${dims}`;
    let place = this.#places.get(key);
    if (!place) {
      place = { kernel: this.#build(COPY[dims.length - 1], dims, {}) };
      this.#places.set(key, place);
    }
    const value = await this.#call('upload', place.kernel, [this.#gpuJs.input(data, dims)]);
    dropReference(place.last, value);
    place.last = value;
    return { dims, value };
  }

  /** All numbers of a handle, x fastest. */
  async read({ value, dims }: Handle): Promise<Float32Array> {
    const { toArray } = value as GpuValue;
    const rows = toArray ? await toArray.call(value) : value;
    return flat(
      rows,
      dims.reduce((size, n) => size * n, 1),
    );
  }

  /** Frees what upload put on the device. */
  free({ value }: Handle): void {
    (value as GpuValue).delete?.();
  }

  /** Destroys all kernels and their outputs. */
  async dispose(): Promise<void> {
    if (this.#youngest?.isDoomed) this.#youngest.kernel.destroy();
    for (const kernel of this.#built) kernel.destroy();
    this.#built.clear();
    this.#cache.clear();
    this.#uploads.clear();
    this.#places.clear();
    await this.#gpu.destroy();
  }

  /** Whether handles are arrays of this process. */
  get #isHost(): boolean {
    return this.mode === 'cpu' || this.mode === 'webasm';
  }

  get #isGl(): boolean {
    return this.mode === 'webgl2' || this.mode === 'headlessgl';
  }

  #build(
    source: string,
    output: Dims,
    constants: KernelSpec['constants'],
    immutable = false,
  ): GpuKernel {
    const kernel = this.#gpu.createKernel(source, {
      output,
      constants,
      pipeline: true,
      precision: 'single',
      tactic: 'precision',
      loopMaxIterations: 1 << 20,
      ...(immutable && { immutable }),
    });
    this.#built.add(kernel);
    return kernel;
  }

  async #call(name: string, kernel: GpuKernel, args: readonly unknown[]): Promise<GpuValue> {
    let value: GpuValue;
    try {
      value = await kernel(...args);
    } catch (error) {
      throw new BackendError(`gpujs:${this.mode}: ${name}: ${firstLine(error)}`);
    }
    this.#expectMode(kernel);
    if (this.#isGl && !this.#ran.has(kernel)) {
      this.#ran.add(kernel);
      if (this.#youngest?.isDoomed) this.#youngest.kernel.destroy();
      this.#youngest = { kernel, isDoomed: false };
    }
    return value;
  }

  /** In GL modes all kernels draw the vertices of the one built last, so that one waits for the next. */
  #destroy(kernel: GpuKernel): void {
    if (this.#youngest?.kernel === kernel) this.#youngest.isDoomed = true;
    else kernel.destroy();
  }

  /** gpu.js goes over to the CPU silently when a kernel does not compile. */
  #expectMode({ kernel }: GpuKernel): void {
    const ran = kernel.constructor.mode; // 'gpu' is what gpu.js calls its two GL modes
    if (ran === (this.#isGl ? 'gpu' : this.mode)) return;
    const reason = kernel.fallbackReason ?? 'no reason given';
    if (!this.#allowsFallback) {
      throw new BackendError(
        `gpujs:${this.mode}: expected this mode, got ${ran} (${firstLine(reason)}); ` +
          `use gpujs:${ran}, or allow the fallback`,
        'Fallback',
      );
    }
    this.#fallback = `${ran}: ${firstLine(reason)}`;
  }

  async #nameAdapter(): Promise<string | undefined> {
    if (this.mode === 'webgpu') {
      const { adapter } = await this.#gpuJs.WebGPUContext.acquire();
      const { vendor, architecture, description } = adapter.info ?? {};
      return [vendor, architecture, description].filter(Boolean).join(' ') || undefined;
    }
    const [kernel] = this.#built;
    const gl = kernel?.kernel.context as WebGL2RenderingContext | undefined;
    if (!this.#isGl || typeof gl?.getParameter !== 'function') return undefined;
    const unmasked = gl.getExtension('WEBGL_debug_renderer_info');
    return String(gl.getParameter(unmasked?.UNMASKED_RENDERER_WEBGL ?? gl.RENDERER));
  }
}

/**
 * Gives back what a kernel returned before. WebGPU counts a reference to the buffer for every call; in GL modes
 * every call returns the same texture, and giving that back would delete what has just been written.
 */
function dropReference(last: GpuValue | undefined, value: GpuValue): void {
  if (last !== value) last?.delete?.();
}

/** Copies an array of one to three dimensions. */
const COPY = [
  'function (a) { return a[this.thread.x]; }',
  'function (a) { return a[this.thread.y][this.thread.x]; }',
  'function (a) { return a[this.thread.z][this.thread.y][this.thread.x]; }',
];

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0];
}
