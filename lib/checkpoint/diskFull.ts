/** Errors of a disk, a quota or a limit of file sizes that has no room. */

const NO_ROOM: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Whether an error of the system says that there is no room. */
export function isDiskFull(error: unknown): boolean {
  return NO_ROOM.has((error as NodeJS.ErrnoException | undefined)?.code);
}
