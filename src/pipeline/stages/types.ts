import type { Session } from '../session.ts';

/** How a stage ended. `leave`: someone asked the job to end after the step. */
export type StageEnd = { end: 'done'; reason: string | null } | { end: 'leave' } | { end: 'failed'; reason: string };

export type StageRunner = (session: Session, index: number) => Promise<StageEnd>;
