import { describe, failure, invalid, readVerdict, type Verdict } from '../../runtimes/index.ts';

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** More than this is left out of what is kept of a verdict: HUD has no limit, and the number is good without it. */
const MAX_INFO_CHARACTERS = 8192;

/**
 * What `tasks.grade` gave. A grade that reports an error is none, whatever its score says. A template that ends without a second yield
 * arrives as a score of 0, which nobody can tell from a real one.
 */
export function readGrade(frame: unknown): Verdict {
  if (!isRecord(frame)) return invalid(`gave ${describe(frame ?? null)} as its grade; expected an object with a score`);
  const { isError, content, info, subscores } = frame;
  const text = typeof content === 'string' ? content : '';
  if (isError === true) return failure('exception', `the grader reported an error${text === '' ? '' : `: ${text.slice(0, 2000)}`}`);
  // NaN, where somebody wrote it as JSON has it. HUD knows no grader that abstains.
  if (frame['score'] === null) return invalid(`gave null as \`score\``);
  const told = { ...(isRecord(info) ? info : {}), ...(text === '' ? {} : { content: text }) };
  const length = JSON.stringify(told).length;
  const kept = length > MAX_INFO_CHARACTERS ? { left_out: `${length} characters` } : told;
  return readVerdict({ score: frame['score'], subscores, ...(Object.keys(kept).length > 0 ? { info: kept } : {}) });
}
