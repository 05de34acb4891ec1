declare module 'minified' {
  export { openGpujs } from '../../backends/gpujs/index.ts';
}
