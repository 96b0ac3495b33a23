/** What user code prints is kept to be read, and a loop that prints must not fill the disk: so much per call, and so much in all. */

export type OnOutput = (text: string) => void;

/** Characters of what is printed between one answer and the next. */
const PER_CALL = 4000;
/** Characters of a job, and what each text costs besides: it is an event of its own. */
const PER_JOB = 1_000_000;
const PER_TEXT = 100;

/** Cuts what is printed during one call; what was left out is told with the answer. */
export function callPrints(onOutput: OnOutput = () => {}): { add(text: string): void; answered(): void } {
  let [left, leftOut] = [PER_CALL, 0];
  return {
    add(text) {
      const kept = text.slice(0, left);
      left -= kept.length;
      leftOut += text.length - kept.length;
      if (kept !== '') onOutput(kept);
    },
    answered() {
      if (leftOut > 0) onOutput(`… ${leftOut.toLocaleString('en-US')} more characters were left out\n`);
      [left, leftOut] = [PER_CALL, 0];
    },
  };
}

/** Cuts what is printed in one job, and says so once. */
export function jobPrints(onOutput: OnOutput): { add: OnOutput; reset(): void } {
  let left = PER_JOB;
  return {
    add(text) {
      if (left <= 0) return;
      left -= text.length + PER_TEXT;
      onOutput(text);
      if (left <= 0) onOutput(`… that is ${PER_JOB.toLocaleString('en-US')} characters of what user code prints; the rest of this job's is left out\n`);
    },
    reset() {
      left = PER_JOB;
    },
  };
}
