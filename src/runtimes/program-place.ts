import type { ChildOptions } from './child-place.ts';
import type { OpenPlace } from './types.ts';

/** As `childPlace`, which is loaded when there is a program to start. */
export const programPlace = async (options: ChildOptions): Promise<OpenPlace> => (await import('./child-place.ts')).childPlace(options);
