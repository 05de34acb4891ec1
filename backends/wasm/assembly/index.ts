/** What the module exports. */

export { dismiss, run, work } from './team';
