/** @file What the operating system says when a file cannot be used, in words: one table for everybody who tells a person. */

/** What a shell is told, in the end. */
export type SystemErrorKind = 'not_found' | 'permission' | 'conflict' | 'usage' | 'invalid';

export interface SystemErrorWords {
  kind: SystemErrorKind;
  /** Goes on after the path. */
  what: string;
  fix: string;
}

const owner: SystemErrorWords = { kind: 'permission', what: 'may not be read or written', fix: 'Check who owns it and its permissions.' };
const full: SystemErrorWords = {
  kind: 'invalid',
  what: 'could not be written: the disk is full',
  fix: 'Free some space (rlrun models prune MODEL deletes old weights) and run again; nothing that was saved before is lost.',
};
const tooManyFiles: SystemErrorWords = { kind: 'invalid', what: 'cannot be opened: too many files are open', fix: 'Close other programs, or allow more (ulimit -n).' };
const broken: SystemErrorWords = { kind: 'invalid', what: 'cannot be read or written: its disk reports an error', fix: 'Check the disk; copy what is still readable.' };
const busy: SystemErrorWords = { kind: 'conflict', what: 'is in use by another program', fix: 'Close it there and run again.' };

const words: Readonly<Record<string, SystemErrorWords>> = {
  ENOENT: { kind: 'not_found', what: 'does not exist', fix: 'Check the path.' },
  EACCES: owner,
  EPERM: owner,
  EROFS: { kind: 'permission', what: 'lies on a read-only file system', fix: 'Choose another folder; RLRUN_HOME says where models and jobs are kept.' },
  ENOTDIR: { kind: 'conflict', what: 'cannot be a path: a part of it is a file and no folder', fix: 'Move that file away, or name another path; RLRUN_HOME says where models and jobs are kept.' },
  EISDIR: { kind: 'usage', what: 'is a folder', fix: 'Name a file.' },
  EEXIST: { kind: 'conflict', what: 'exists already', fix: 'Move it away, or choose another name.' },
  ENOTEMPTY: { kind: 'conflict', what: 'exists already', fix: 'Move it away, or choose another name.' },
  ENOSPC: full,
  EDQUOT: { ...full, what: 'could not be written: your quota on the disk is used up' },
  EFBIG: { kind: 'invalid', what: 'would be larger than a file may be there', fix: 'Choose a folder on another file system, or raise the limit (ulimit -f).' },
  EMFILE: tooManyFiles,
  ENFILE: tooManyFiles,
  ENAMETOOLONG: { kind: 'usage', what: 'is too long a name', fix: 'Choose a shorter name, or a folder that lies less deep.' },
  ELOOP: { kind: 'invalid', what: 'leads in a circle: its links point to each other', fix: 'Remove or mend the links.' },
  EIO: broken,
  ESTALE: broken,
  EBUSY: busy,
  ETXTBSY: busy,
  EXDEV: { kind: 'invalid', what: 'lies on two file systems, between which nothing can be moved at once', fix: 'Choose a folder that is on one.' },
};

export const wordsOfSystemError = (code: string | undefined): SystemErrorWords | undefined => (code !== undefined && Object.hasOwn(words, code) ? words[code] : undefined);
