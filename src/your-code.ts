/** What users write in TypeScript, as types to write it with: `import type { Reward } from 'rlrun'`. */
import type { Message, StopReason, Subscore } from './events.ts';
import type { Tool } from './environments/index.ts';
import type { LossContext, LossTensors } from './policy/index.ts';
import type { Value } from './onnx/index.ts';
import type { ChatMessage, Task } from './tasks/index.ts';

/** A judgement: true is 1, false is 0, and null is no verdict. A number must be finite; `info` is shown beside the rollout. */
export type Judgement =
  | number
  | boolean
  | null
  | {
      reward: number | boolean | null;
      info?: object | undefined;
      subscores?: Readonly<Record<string, number | boolean | null>> | readonly (Pick<Subscore, 'name' | 'value'> & Partial<Pick<Subscore, 'weight'>>)[] | undefined;
    };

/** What a reward gets to know besides the text and its task. */
export interface RewardInfo<Args = Readonly<Record<string, unknown>>> {
  /** `args` of the reward in the pipeline. */
  args: Args;
  completionTokens: number;
  /** The completion was cut off at `agent.max_tokens`. */
  truncated: boolean;
  /** Of agents that take turns: all that was said after the prompt, and why it ended. The completion is the last answer. */
  messages?: readonly Message[];
  stopReason?: StopReason;
}

/** The default export of `reward: [{ kind: module, path: ./reward.ts }]`. */
export type Reward<Args = Readonly<Record<string, unknown>>> = (completion: string, task: Task, info: RewardInfo<Args>) => Judgement | Promise<Judgement>;

/** A task as a file or a module gives it. `id` names a template that makes the prompt, and judges under `reward: [{ kind: task }]`. */
export interface TaskRow {
  prompt?: string | readonly ChatMessage[];
  answer?: string | number | boolean | null;
  id?: string;
  args?: object;
  /** A name of its own; by default rlrun makes one of what the row says. */
  slug?: string;
  split?: 'train' | 'eval';
}

type Rows = Iterable<TaskRow> | AsyncIterable<TaskRow>;

/** The default export of `taskset: { source: ./tasks.ts }`: rows, or a function of the taskset's `args` that makes them. An endless generator is asked for as many as the split needs. */
export type Taskset<Args = Readonly<Record<string, unknown>>> = Rows | ((args: Args, wanted: { seed: number; train: number; eval: number }) => Rows | Promise<Rows>);

type Said = string | readonly ChatMessage[];

/** What a template yields: first the prompt, which may bring tools; then the next turn, with a reward for the last one if it likes; in the end the judgement. */
export type Yielded = Said | { prompt: Said; tools?: readonly (Pick<Tool, 'name'> & Partial<Tool>)[] } | { messages: Said; reward?: Judgement } | Judgement;

/** An entry of the export `templates` of a taskset: yields the prompt, is handed the answer, and yields the next turn or the judgement. */
export type Template<Args = Readonly<Record<string, unknown>>> = (args: Args) => AsyncGenerator<Yielded, void, string> | Generator<Yielded, void, string>;

/** The default export of `train: { loss: { kind: module, path: ./loss.ts } }`: one term per drawn token, written into the graph. */
export type Loss = (tensors: LossTensors, context: LossContext) => Value;
