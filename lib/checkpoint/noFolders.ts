/** What bundlers for browsers put in the place of nodeFiles.ts and atomicFile.ts: there, no path can be opened. */

import { UnsupportedError } from '../../reference/errors.ts';

const refuse = async (path: string): Promise<never> => {
  throw new UnsupportedError(
    `${path}: a path can only be opened in Node; give the files themselves: { 'config.json': blob, … }`,
  );
};

export const filesFromFolder = refuse;
export const filesFromPath = refuse;
export const filesFromModel = refuse;
export const openRegular = refuse;
export const writeFolder = refuse;
export const flushFolder = refuse;
export const writeAtomically = refuse;
