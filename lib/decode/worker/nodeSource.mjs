/** Where an engine's worker begins in a checkout: Node 20 runs no TypeScript, and no --import helps a worker's entry. */

import { register } from 'tsx/esm/api';

register();
await import('./nodeWorker.ts');
