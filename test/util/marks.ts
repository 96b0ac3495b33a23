/** Marks of processes that are no more. */
import { processMark } from '../../src/util/process-mark.ts';

const [, started, ...place] = processMark().split('.');

/** As a lock names its holder. The number is beyond what Linux gives. */
export const goneMark = (): string => [2 ** 22 + 1, started, ...place, '00000001'].join('.');

/** This process's number, given to another one before: as process 1 of a container that was started again. */
export const earlierMark = (): string => [process.pid, Number(started) - 5, ...place, '00000001'].join('.');
