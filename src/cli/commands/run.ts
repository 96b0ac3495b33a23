/** `rlrun PIPELINE`: run a pipeline, resume an interrupted job, or stay and watch. */
import type { Emit } from '../../events.ts';
import { createControls } from '../../pipeline/index.ts';
import type { Handler, Invocation } from '../types.ts';
import { type Exit, exitOf } from '../exit-codes.ts';
import { type Screen, createScreen } from '../screen.ts';
import { runSession } from '../session.ts';
import { endForSure, onSignals } from '../signals.ts';
import { type Outcome, Workbench } from '../workbench.ts';
import { dryRun } from './dry-run.ts';

export const run: Handler = async (invocation) => {
  const { flags, io } = invocation;
  const emit: Emit = (type, data) => workbench.emit(type, data);
  const panel = createControls(emit);
  await using workbench: Workbench = new Workbench(invocation, { panel, listen: (event) => screen.listen(event), isSilent: () => screen.isFull });

  const abort = () => {
    panel.controls.stop();
    session.stop();
    end.later();
  };
  // Leaving at the screen ends the session, and not only the job that runs.
  const atScreen: { exit: Exit | null } = { exit: null };
  const stopAtOnce = () => {
    atScreen.exit = 'interrupted';
    abort();
  };
  const controls = { ...panel.controls, finish: () => (workbench.isOpening ? stopAtOnce() : session.stop()), stop: stopAtOnce };
  const screen: Screen = createScreen(invocation, { controls, names: workbench.names });
  // Awaited here: what the workbench holds is given back on the way out.
  if (flags.dryRun) return await dryRun(workbench, invocation);
  const beforeRun = (pipeline: () => string) => screen.open(pipeline);
  const { session, outcome } = runSession(workbench, { watching: flags.watch ?? false, resume: flags.resume ?? false, emit, beforeRun });
  using signals = onSignals({ io, stop: () => session.stop(), abort, kill: () => end.now(), canFinish: () => !workbench.isOpening });
  const end = endForSure({ io, signal: () => (signals.exit === 'terminated' ? 'SIGTERM' : 'SIGINT'), before: () => void screen.close() });
  const signalled = (): Exit | null => signals.exit ?? atScreen.exit;
  try {
    return exitOfOutcome(await outcome, { io, signalled: signalled() });
  } catch (error) {
    // A download, say: there was no job yet that could have told how it ended.
    const exit = signalled();
    if (exit !== null && (error as Error | null)?.name === 'AbortError') return exit;
    throw error;
  } finally {
    await screen.close();
  }
};

function exitOfOutcome(outcome: Outcome, { io, signalled }: { io: Invocation['io']; signalled: Exit | null }): Exit {
  if (outcome.kind === 'not-started') return signalled ?? outcome.exit;
  const { status, error } = outcome.result;
  if (status === 'completed') return 'ok';
  if (status === 'stopped') return signalled ?? 'ok';
  const known = exitOf(error);
  const { fix } = (error ?? {}) as { fix?: string | null };
  if (known !== null && fix) io.tell(`  ${fix}`);
  if (known === null && error instanceof Error) io.tell(io.paint('dim', error.stack ?? error.message));
  return known ?? 'failure';
}
