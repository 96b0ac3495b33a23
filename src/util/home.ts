/** @file `~` as people write it where no shell replaces it. */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** `~/models/x` → `/home/me/models/x`; everything else as it is. */
export const expandHome = (path: string): string => (path === '~' || /^~[/\\]/.test(path) ? join(homedir(), path.slice(1)) : path);
