/** @file What git leaves in place of a large file that Git LFS has not fetched. */

const beginning = 'version https://git-lfs.github.com/spec/';
/** The specification ends a pointer at this size. */
export const maxPointerBytes = 1024;

export function isLfsPointer(bytes: Uint8Array): boolean {
  return new TextDecoder().decode(bytes.subarray(0, beginning.length)) === beginning;
}
