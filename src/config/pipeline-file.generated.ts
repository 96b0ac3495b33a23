// Generated from schemas/pipeline.schema.json by `npm run generate`.

/**
 * Where tools that the model may call come from. kind selects the source; the other keys belong to that kind.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "Tools".
 */
export type Tools = ToolsModule | ToolsMcp;
/**
 * Tools that the model may call, from one or more sources. They need agent.kind: chat and a chat template that knows tools.
 *
 * @maxItems 16
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "ToolsList".
 */
export type ToolsList = Tools[];
/**
 * One grader of the reward. kind selects it; the other keys belong to that kind.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "Reward".
 */
export type Reward =
  | RewardExactMatch
  | RewardContains
  | RewardContainsAny
  | RewardContainsAll
  | RewardRegex
  | RewardNumericMatch
  | RewardF1
  | RewardSimilarity
  | RewardLength
  | RewardJsonSchema
  | RewardCommand
  | RewardModule
  | RewardTask
  | RewardAny
  | RewardAll;
/**
 * Name of this part in subscores, metrics and charts. Default: its kind, or the file name of a module; numbered where that would repeat.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "RewardName".
 */
export type RewardName = string;
/**
 * Share of this part in the reward. Positive weights are scaled to sum to 1; a negative weight is a penalty and is kept as it is.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "RewardWeight".
 */
export type RewardWeight = number;
/**
 * What a good answer is: a list of graders whose weighted sum is the reward. Subscores stay visible by name. One grader that abstains (null) leaves the answer without a verdict: it gets no advantage, and the others of its group are compared without it. One that fails drops the group.
 *
 * @minItems 1
 * @maxItems 64
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "RewardList".
 */
export type RewardList = Reward[];
/**
 * A block of steps with its own settings. kind selects what it does.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "Stage".
 */
export type Stage = StageSft | StageGrpo | StageEval | StageExport;
/**
 * Name of the stage in logs and charts. Default: its kind.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "StageName".
 */
export type StageName = string;
/**
 * Rounds of this stage, each one optimizer step and one checkpoint.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "StageSteps".
 */
export type StageSteps = number;
/**
 * Tasks per step. A step has batch × group rollouts. Default: as at the top level.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "StageBatch".
 */
export type StageBatch = number;
/**
 * Rollouts per task and step. Advantages compare the rollouts of one group, so at least 2. Default: as at the top level.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "StageGroup".
 */
export type StageGroup = number;
/**
 * The divisor of reduction: constant. Default: agent.max_tokens.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "ConstantLength".
 */
export type ConstantLength = number;
/**
 * Weight of the entropy of the policy, which is maximised (below 0: minimised), on every rollout of a group with verdicts, as with kl. 0 is off.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "EntropyBonus".
 */
export type EntropyBonus = number;
/**
 * A loss with its fields written out.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "Loss".
 */
export type Loss = LossCrossEntropy | LossImportanceSampling | LossPpo | LossCispo | LossDro | LossModule;
/**
 * A published algorithm by name: its loss, and the advantages that belong to it. rlrun check --resolved shows the expansion.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "LossPreset".
 */
export type LossPreset = 'importance_sampling' | 'ppo' | 'cispo' | 'dro' | 'cross_entropy' | 'grpo' | 'dr_grpo' | 'dapo' | 'gspo';

/**
 * One file that says how a model gets better: what it is forked from, which tasks it attempts, what a good answer is, and how its weights follow.
 */
export interface PipelineFile {
  /**
   * One or more pipeline files to build on. Later ones win over earlier ones, this file wins over all. Maps merge; scalars and lists replace. Default: none.
   *
   * @minItems 1
   */
  extends?: string | string[];
  /**
   * Name of the pipeline; jobs are listed under it. Default: the name of the file.
   */
  name?: string;
  /**
   * Every random number comes from it: the same seed, file and machine give the same run, bit for bit.
   */
  seed?: number;
  model: Model;
  taskset: Taskset;
  agent?: Agent;
  tools?: ToolsList;
  reward: RewardList;
  runtime?: Runtime;
  /**
   * Rollouts per task and step. Advantages compare the rollouts of one group, so at least 2.
   */
  group?: number;
  /**
   * Tasks per step. A step has batch × group rollouts.
   */
  batch?: number;
  /**
   * Rounds of the loop: a number, or a list of stages (sft, grpo, eval, export), each with its own overrides.
   *
   * @minItems 1
   * @maxItems 100
   */
  steps?: number | Stage[];
  train?: Train;
  eval?: Eval;
  promote?: Promote;
  guard?: Guard;
  watch?: Watch;
}
/**
 * The model to train: where it is forked from, its own name, and which of its weights learn.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "Model".
 */
export interface Model {
  /**
   * Where the weights start. builtin:… ships with rlrun, hub:org/name[@revision] is downloaded from the Hugging Face Hub once, ./dir is a transformers.js directory, slug or slug@step-000010 is a model (or one checkpoint of it) that rlrun trained before, and config:./config.json starts from random weights of that shape.
   */
  fork: string;
  /**
   * The name of the trained model. The same string is sampled, trained and exported. Default: the name of the pipeline.
   */
  name?: string;
  /**
   * Where ONNX Runtime computes: cpu, webgpu (any recent GPU) or cuda.
   */
  device?: 'cpu' | 'webgpu' | 'cuda';
  /**
   * Threads of ONNX Runtime on the CPU. 0 lets it choose. A run repeats bit for bit only with the same number of threads.
   */
  threads?: number;
  /**
   * Which weights learn: all of them (full), or low-rank adapters beside the frozen ones (lora). Default: { method: full }.
   */
  train?: TrainFull | TrainLora;
}
/**
 * Every weight is trained. Needs memory for gradients and two Adam moments: about four times the model.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "TrainFull".
 */
export interface TrainFull {
  /**
   * All weights learn.
   */
  method: 'full';
}
/**
 * Low-rank adapters are trained, the base stays frozen (LoRA). Gradients and moments exist for the adapters only.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "TrainLora".
 */
export interface TrainLora {
  /**
   * Only the adapters learn.
   */
  method: 'lora';
  /**
   * Inner width of each adapter.
   */
  rank?: number;
  /**
   * The adapter is scaled by alpha / rank.
   */
  alpha?: number;
  /**
   * Which linear layers get an adapter: names as in the checkpoint (q_proj), with * as a wildcard. all-linear is every linear layer of the decoder.
   *
   * @minItems 1
   */
  targets?: string[];
  /**
   * Seed of the random half of the adapters (the other half starts at zero).
   */
  seed?: number;
}
/**
 * The tasks to attempt, and how many of them are for training and for held-out evaluation. The two splits never overlap.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "Taskset".
 */
export interface Taskset {
  /**
   * A built-in generator (builtin:arith, builtin:reverse-text, builtin:sort-letters, builtin:count-letters, builtin:countdown), a file of task rows (.json, .jsonl, .yaml) or a TypeScript module that yields tasks (.ts). Paths are relative to the file that names them. Default: in a stage, the one of the top level.
   */
  source?: string;
  /**
   * Arguments of the generator. The built-in ones are checked by this schema; a .ts module receives them as they are.
   */
  args?: Record<string, unknown>;
  /**
   * How many tasks each split holds. A taskset that has fewer is refused, with the numbers it has.
   */
  split?: {
    /**
     * Tasks that rollouts are drawn from.
     */
    train?: number;
    /**
     * Tasks kept for evaluation only.
     */
    eval?: number;
  };
  /**
   * Which tasks there are and which of them are held out follows from it. Set it to compare several seeds of a run on the same held-out tasks. Default: the seed at the top level.
   */
  seed?: number;
}
/**
 * How the model acts on a task: what it reads, and how its answer is sampled.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "Agent".
 */
export interface Agent {
  /**
   * completion: the prompt is the text that the model continues. chat: the prompt becomes messages in the chat template of the tokenizer. If the last of them is the assistant's, the answer goes on with it.
   */
  kind?: 'completion' | 'chat';
  /**
   * First message of every chat. Only for kind: chat.
   */
  system?: string | null;
  /**
   * Arguments that the chat template of the model understands. Only for kind: chat. Templates that write the date get 26 July 2024 unless an argument of theirs says otherwise, so that a job which is resumed tomorrow reads the same prompts.
   */
  template_args?: {
    [k: string]: unknown;
  };
  /**
   * Tokens an answer may have. Longer ones are cut and count as truncated. Prompt and answer together must fit into the context of the model: by default no more than half of it.
   */
  max_tokens?: number;
  /**
   * Logits are divided by it, in sampling and in training alike. 0 always takes the likeliest token and is for evaluation only: a group of equal answers teaches nothing.
   */
  temperature?: number;
  /**
   * Keep the likeliest tokens that hold this much probability. 1 keeps all; training needs 1, or its probability ratios are biased.
   */
  top_p?: number;
  /**
   * Keep the k likeliest tokens. 0 keeps all; training needs 0, or its probability ratios are biased.
   */
  top_k?: number;
  /**
   * Sampling ends once the answer contains one of these, besides the stop tokens of the model: those of generation_config.json, of the tokenizer and of the chat template.
   *
   * @maxItems 16
   */
  stop?: string[];
  /**
   * Answers the model may give in one rollout. 1: one prompt, one answer. More: tools that it calls and an environment that replies to it give it another turn. Default: 10 where there are tools or the runtime is an environment (hud, tcp, docker, gym), else 1.
   */
  max_steps?: number;
  /**
   * How the model writes a call of a tool. auto: as its chat template shows.
   */
  tool_format?: 'auto' | 'hermes' | 'qwen3_coder' | 'llama3_json' | 'mistral' | 'pythonic' | 'deepseek';
  /**
   * Characters of one tool's result that the model is shown; of a longer one the middle is left out, and it says so.
   */
  max_tool_characters?: number;
}
/**
 * A TypeScript (or JavaScript) file that exports tools: functions with a description and a JSON Schema of their arguments. They run where rewards run, and are reloaded when the file changes.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "ToolsModule".
 */
export interface ToolsModule {
  /**
   * Selects this source of tools.
   */
  kind: 'module';
  /**
   * The file, relative to the file that names it.
   */
  path: string;
  /**
   * Tools to offer, by name. Default: all.
   *
   * @minItems 1
   */
  include?: string[];
  /**
   * Tools to leave out, by name. Default: none.
   *
   * @minItems 1
   */
  exclude?: string[];
  /**
   * Time that one call may take; then the model is told that it took too long.
   */
  timeout?: string;
}
/**
 * A server of the Model Context Protocol: a program that speaks it on stdin and stdout (command), or an address (url, streamable HTTP). Every rollout has a session of its own.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "ToolsMcp".
 */
export interface ToolsMcp {
  /**
   * Selects this source of tools.
   */
  kind: 'mcp';
  /**
   * The program and its arguments, as a list. Either this or url. Default: none.
   *
   * @minItems 1
   */
  command?: string[];
  /**
   * Where the program runs, relative to the file that names it. Default: the folder of that file.
   */
  cwd?: string;
  /**
   * Where the server listens. Either this or command. Default: none.
   */
  url?: string;
  /**
   * Sent with every request, such as a key from ${env:NAME}.
   */
  headers?: Record<string, string>;
  /**
   * Tools to offer, by name. Default: all.
   *
   * @minItems 1
   */
  include?: string[];
  /**
   * Tools to leave out, by name. Default: none.
   *
   * @minItems 1
   */
  exclude?: string[];
  /**
   * Time that one call may take; then the model is told that it took too long.
   */
  timeout?: string;
}
/**
 * 1 if the answer is the gold answer of the task, else 0. No difference: case, the width of spaces, spaces around operators and after commas, one full stop at the end, a leading "the", separators of thousands, the 0 of 0.5, and which dash or quote is used. Everything else counts: signs, operators, brackets, marks, every other word and digit.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "RewardExactMatch".
 */
export interface RewardExactMatch {
  /**
   * Selects this grader.
   */
  kind: 'exact_match';
  name?: RewardName;
  weight?: RewardWeight;
}
/**
 * 1 if the answer contains a text (in upper or lower case), else 0. A number only as a whole: 4 is not in 42, 0.4 or -4.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "RewardContains".
 */
export interface RewardContains {
  /**
   * Selects this grader.
   */
  kind: 'contains';
  name?: RewardName;
  weight?: RewardWeight;
  /**
   * The text to look for. null: the gold answer of the task.
   */
  value?: string | null;
}
/**
 * 1 if the answer contains at least one of the texts, else 0.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "RewardContainsAny".
 */
export interface RewardContainsAny {
  /**
   * Selects this grader.
   */
  kind: 'contains_any';
  name?: RewardName;
  weight?: RewardWeight;
  /**
   * The texts to look for; upper and lower case are the same. null: the gold answer of the task.
   *
   * @minItems 1
   */
  values?: string[] | null;
}
/**
 * 1 if the answer contains every one of the texts, else 0.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "RewardContainsAll".
 */
export interface RewardContainsAll {
  /**
   * Selects this grader.
   */
  kind: 'contains_all';
  name?: RewardName;
  weight?: RewardWeight;
  /**
   * The texts to look for; upper and lower case are the same. null: the gold answer of the task.
   *
   * @minItems 1
   */
  values?: string[] | null;
}
/**
 * 1 if a JavaScript regular expression matches the answer, else 0.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "RewardRegex".
 */
export interface RewardRegex {
  /**
   * Selects this grader.
   */
  kind: 'regex';
  name?: RewardName;
  weight?: RewardWeight;
  /**
   * The regular expression, without slashes. Single quotes spare you from doubling backslashes.
   */
  pattern: string;
  /**
   * Flags of the regular expression: i ignores case, m lines, s dot matches newlines, u/v Unicode.
   */
  flags?: string;
  /**
   * Whether the whole answer (spaces around it aside) must match, not only a part.
   */
  full?: boolean;
}
/**
 * 1 if the number that the answer ends with is the gold answer within a tolerance, else 0. Understands signs, exponents, commas between thousands and a dot before the fraction. Digits that are part of something else (3/4, 2^10, 12:30, 5-7, 1,23, 10%, x1) are no number: an answer that ends so earns 0, and a gold answer has to be a number alone, or what follows ####.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "RewardNumericMatch".
 */
export interface RewardNumericMatch {
  /**
   * Selects this grader.
   */
  kind: 'numeric_match';
  name?: RewardName;
  weight?: RewardWeight;
  /**
   * Largest difference that still counts as equal.
   */
  tolerance?: number;
  /**
   * Largest difference as a share of the gold answer.
   */
  relative_tolerance?: number;
}
/**
 * Harmonic mean of word precision and recall against the gold answer, from 0 to 1. Signs and operators count as words; case, quotes, the marks of sentences, "the" and "an" do not.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "RewardF1".
 */
export interface RewardF1 {
  /**
   * Selects this grader.
   */
  kind: 'f1';
  name?: RewardName;
  weight?: RewardWeight;
}
/**
 * The characters in common blocks as a share of those in both texts, from 0 to 1 (Ratcliff and Obershelp; the ratio of Python's difflib without its junk heuristic).
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "RewardSimilarity".
 */
export interface RewardSimilarity {
  /**
   * Selects this grader.
   */
  kind: 'similarity';
  name?: RewardName;
  weight?: RewardWeight;
}
/**
 * 1 while the length of the answer is within bounds; outside it falls with the ratio, so a nearer length scores higher.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "RewardLength".
 */
export interface RewardLength {
  /**
   * Selects this grader.
   */
  kind: 'length';
  name?: RewardName;
  weight?: RewardWeight;
  /**
   * Shortest answer with a full score.
   */
  min?: number;
  /**
   * Longest answer with a full score.
   */
  max: number;
  /**
   * What is counted.
   */
  unit?: 'tokens' | 'characters';
}
/**
 * 1 if the answer is JSON that a schema accepts, else 0.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "RewardJsonSchema".
 */
export interface RewardJsonSchema {
  /**
   * Selects this grader.
   */
  kind: 'json_schema';
  name?: RewardName;
  weight?: RewardWeight;
  /**
   * A JSON Schema (2020-12), written here as YAML. true accepts any JSON.
   */
  schema: Record<string, unknown> | boolean;
}
/**
 * A program of yours, in any language: it gets { task, completion, … } as JSON on stdin and answers with a score. It is started for every answer; with runtime: { kind: subprocess } one that stays can judge instead, far cheaper.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "RewardCommand".
 */
export interface RewardCommand {
  /**
   * Selects this grader.
   */
  kind: 'command';
  name?: RewardName;
  weight?: RewardWeight;
  /**
   * Program and arguments, as a list; no shell in between.
   *
   * @minItems 1
   */
  command: string[];
  /**
   * How long one scoring may take.
   */
  timeout?: string;
  /**
   * Where the program starts, relative to this file. Default: the folder of this file.
   */
  cwd?: string;
  /**
   * stdout: the last line printed is a number, null for no verdict, or {"score": …}. exit_code: 1 if the program exits with 0, 0 if with 1; anything else is a fault of the program.
   */
  score?: 'stdout' | 'exit_code';
}
/**
 * A TypeScript (or JavaScript) file whose default export scores an answer: a number, or null for no verdict. It runs in a worker and is reloaded when it changes.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "RewardModule".
 */
export interface RewardModule {
  /**
   * Selects this grader.
   */
  kind: 'module';
  name?: RewardName;
  weight?: RewardWeight;
  /**
   * The file, relative to the file that names it.
   */
  path: string;
  /**
   * Handed to the function as they are.
   */
  args?: Record<string, unknown>;
}
/**
 * The taskset grades the answer itself: the second yield of a template, or the checker of a built-in taskset such as countdown.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "RewardTask".
 */
export interface RewardTask {
  /**
   * Selects this grader.
   */
  kind: 'task';
  name?: RewardName;
  weight?: RewardWeight;
}
/**
 * The best of several graders (their maximum); those that abstain are passed over.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "RewardAny".
 */
export interface RewardAny {
  /**
   * Selects this grader.
   */
  kind: 'any';
  name?: RewardName;
  weight?: RewardWeight;
  /**
   * The graders it combines; they nest.
   *
   * @minItems 1
   */
  rewards: Reward[];
}
/**
 * The worst of several graders (their minimum); it abstains if one of them does.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "RewardAll".
 */
export interface RewardAll {
  /**
   * Selects this grader.
   */
  kind: 'all';
  name?: RewardName;
  weight?: RewardWeight;
  /**
   * The graders it combines; they nest.
   *
   * @minItems 1
   */
  rewards: Reward[];
}
/**
 * Where task code and graders run, how many at once, and for how long. Code that loops, throws or exits costs one rollout, not the job.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "Runtime".
 */
export interface Runtime {
  /**
   * subprocess: TypeScript runs in child processes, which are held to every limit, and with command a program of yours, in any language, gives prompts and grades answers over JSON lines. local: TypeScript runs in worker threads of rlrun, for code that you trust. hud, tcp, docker: an environment that speaks hud/1.0, which command starts, which listens at url, or which a container brings. gym: a server with reset and step, as OpenEnv has them. Modules run in child processes with those four.
   */
  kind?: 'subprocess' | 'local' | 'hud' | 'tcp' | 'docker' | 'gym';
  /**
   * A program with an environment and its arguments, as a list. Only for kind: subprocess, hud and gym. Default: none.
   *
   * @minItems 1
   */
  command?: string[];
  /**
   * Where user code runs, relative to this file. Default: the folder of this file.
   */
  cwd?: string;
  /**
   * Names of secrets of rlrun's own (HF_TOKEN, HUGGING_FACE_HUB_TOKEN) that user code is to have as well. All other variables it has anyway.
   */
  env?: string[];
  /**
   * Where an environment listens. Only for kind: tcp and gym. Default: none.
   */
  url?: string;
  /**
   * The image of a container with an environment that speaks hud/1.0. Only for kind: docker. Default: none.
   */
  image?: string;
  /**
   * Where the environment listens inside of its container. Only for kind: docker. Default: 8765.
   */
  port?: number;
  /**
   * Further arguments of docker run, as a list. Only for kind: docker. Default: none.
   *
   * @minItems 1
   */
  run_args?: string[];
  /**
   * Time until an environment that rlrun starts listens. Only for kind: hud, docker and gym. Default: 120s.
   */
  start_timeout?: string;
  /**
   * The field of an action that the answer goes into. Only for kind: gym. Default: the one that every action needs.
   */
  action_field?: string;
  /**
   * The field of the first observation that the model reads. Only for kind: gym. Default: its only text, else the one that is called prompt, text, message, …, else all of it as JSON.
   */
  prompt_field?: string;
  /**
   * The same for the observations that follow. Only for kind: gym. Default: found in the same way.
   */
  observation_field?: string;
  /**
   * Rollouts whose task code or graders run side by side.
   */
  concurrency?: number;
  /**
   * Time that task code and graders may take in one rollout, generation of text excluded.
   */
  timeout?: string;
  /**
   * Time until a task has given its prompt. Default: 10s, or timeout if that is shorter.
   */
  setup_timeout?: string;
  /**
   * Time until all graders have answered. Default: 30s, or timeout if that is shorter.
   */
  score_timeout?: string;
  /**
   * Memory that one subprocess (with all that it started) or worker may use, in megabytes.
   */
  memory_mb?: number;
}
/**
 * Learns the gold answers of the training split by cross-entropy. train.loss does not apply here.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "StageSft".
 */
export interface StageSft {
  /**
   * Selects this kind of stage.
   */
  kind: 'sft';
  name?: StageName;
  steps: StageSteps;
  batch?: StageBatch;
  taskset?: Taskset;
  agent?: Agent;
  tools?: ToolsList;
  reward?: RewardList;
  runtime?: Runtime;
  train?: Train;
  eval?: Eval;
  promote?: Promote;
  guard?: Guard;
}
/**
 * How rollouts change the weights: optimizer, schedule, advantages and loss.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "Train".
 */
export interface Train {
  /**
   * Peak learning rate of AdamW.
   */
  learning_rate?: number;
  /**
   * How the learning rate changes over the steps of the stage.
   */
  schedule?: {
    /**
     * constant, or a linear or cosine fall from the peak to final.
     */
    kind?: 'constant' | 'linear' | 'cosine';
    /**
     * Steps of linear rise from zero to the peak.
     */
    warmup?: number;
    /**
     * Learning rate at the last step, as a share of the peak. For linear and cosine.
     */
    final?: number;
  };
  /**
   * Decay of Adam's first moment.
   */
  beta1?: number;
  /**
   * Decay of Adam's second moment.
   */
  beta2?: number;
  /**
   * Added to the denominator of Adam.
   */
  eps?: number;
  /**
   * Decoupled weight decay (AdamW).
   */
  weight_decay?: number;
  /**
   * The global norm of the gradient is cut to this. 0 is off.
   */
  max_grad_norm?: number;
  /**
   * How the rewards of a group become advantages. The group mean is always subtracted.
   */
  advantage?: {
    /**
     * none: reward − group mean. std: divided by the group's standard deviation. leave_one_out: the mean of the others (RLOO). batch_std: divided by the batch's standard deviation. Default: what the loss preset asks for, else none.
     */
    normalize?: 'none' | 'std' | 'leave_one_out' | 'batch_std';
    /**
     * 1: sample standard deviation, 0: population.
     */
    ddof?: 0 | 1;
    /**
     * Added to the standard deviation.
     */
    delta?: number;
  };
  /**
   * Rewards are multiplied by it before advantages are taken.
   */
  reward_scale?: number;
  /**
   * A preset by name (importance_sampling, ppo, cispo, dro, cross_entropy, grpo, dr_grpo, dapo, gspo), or an object with kind and explicit fields, or { kind: module, path: ./loss.ts }.
   */
  loss?: LossPreset | Loss;
  /**
   * Optimizer updates on each batch of rollouts. More than 1 makes the data off-policy: use a loss with clipping.
   */
  updates?: number;
  /**
   * Tokens (with padding) in one forward and backward pass. Changes memory and speed, never the gradient.
   */
  micro_batch_tokens?: number;
  /**
   * With layers, the backward computes each layer a second time instead of keeping what it computed: about half the memory on long batches, for about a quarter more time. Never changes the gradient.
   */
  recompute?: 'none' | 'layers';
}
/**
 * Held-out evaluation: greedy accuracy, and pass@k from sampled attempts, with confidence intervals.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "Eval".
 */
export interface Eval {
  /**
   * Steps between evaluations. 0: only before the first and after the last step.
   */
  every?: number;
  /**
   * Held-out tasks per evaluation. Default: all of taskset.split.eval.
   */
  tasks?: number;
  /**
   * Sampled attempts per task, for pass@1 and pass@k. 0: greedy only.
   */
  samples?: number;
  /**
   * Whether to evaluate before the first step, so that improvement has something to be measured against.
   */
  baseline?: boolean;
}
/**
 * When the newest checkpoint becomes the head, the one that is sampled next.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "Promote".
 */
export interface Promote {
  /**
   * always: after every step. better: once its held-out score beats the head's beyond the confidence interval.
   */
  when?: 'always' | 'better';
  /**
   * The evaluation metric that better compares: eval/reward, eval/accuracy, or eval/pass@k for a k up to eval.samples.
   */
  metric?: string;
  /**
   * Confidence level of the interval, between 0.5 and 1.
   */
  confidence?: number;
}
/**
 * When to stop early, and when to roll back by itself.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "Guard".
 */
export interface Guard {
  /**
   * Move the head back to the last good checkpoint when the policy collapses: entropy, truncation, NaN or the held-out score.
   */
  rollback?: boolean;
  /**
   * Entropy below this share of its first value is a collapse, if the reward has fallen too: a policy that has learnt its task is sure of itself as well.
   */
  entropy_floor?: number;
  /**
   * A share of truncated answers above this is a collapse, if it was once below half of it.
   */
  truncated_ceiling?: number;
  /**
   * End after this many evaluations without improvement. 0 is off.
   */
  patience?: number;
  /**
   * End once the held-out score reaches this. null is off.
   */
  target?: number | null;
}
/**
 * Rollout, score, step, promote. What a stage does not set is inherited from the top level; maps merge, lists and scalars replace.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "StageGrpo".
 */
export interface StageGrpo {
  /**
   * Selects this kind of stage.
   */
  kind: 'grpo';
  name?: StageName;
  steps: StageSteps;
  group?: StageGroup;
  batch?: StageBatch;
  taskset?: Taskset;
  agent?: Agent;
  tools?: ToolsList;
  reward?: RewardList;
  runtime?: Runtime;
  train?: Train;
  eval?: Eval;
  promote?: Promote;
  guard?: Guard;
}
/**
 * Evaluates the head on the held-out split once.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "StageEval".
 */
export interface StageEval {
  /**
   * Selects this kind of stage.
   */
  kind: 'eval';
  name?: StageName;
  taskset?: Taskset;
  agent?: Agent;
  tools?: ToolsList;
  reward?: RewardList;
  runtime?: Runtime;
  eval?: Eval;
}
/**
 * Writes the head as a directory that other programs load.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "StageExport".
 */
export interface StageExport {
  /**
   * Selects this kind of stage.
   */
  kind: 'export';
  name?: StageName;
  /**
   * Where to write, relative to this file. It is created; an earlier export there is replaced, but nothing that anybody else put there.
   */
  directory: string;
  /**
   * transformers.js: config, tokenizer and ONNX graph. safetensors: Hugging Face weights. peft: LoRA adapters alone.
   */
  format?: 'transformers.js' | 'safetensors' | 'peft';
  /**
   * Precision of the exported weights. q8 and q4 are quantised.
   */
  dtype?: 'fp32' | 'fp16' | 'q8' | 'q4';
}
/**
 * What --watch does after an edit.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "Watch".
 */
export interface Watch {
  /**
   * continue: train on from the head. rollback: first go back to the checkpoint from before the edited reward.
   */
  on_reward?: 'continue' | 'rollback';
}
/**
 * Arithmetic on whole numbers: the prompt is 12+34=, the answer 46. Each unordered pair of operands appears once per operation, in one of its two orders: a+b and b+a are never on both sides.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "ArithArgs".
 */
export interface ArithArgs {
  /**
   * Which operations to mix, in equal parts.
   *
   * @minItems 1
   */
  operations?: ('add' | 'subtract' | 'multiply')[];
  /**
   * Operands have at most this many digits: 2 means 0 to 99.
   */
  digits?: number;
  /**
   * Let subtraction go below zero; otherwise the larger number comes first.
   */
  negative?: boolean;
}
/**
 * Write a text backwards: the prompt is reverse(abc)=, the answer cba. No text is on both sides.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "ReverseTextArgs".
 */
export interface ReverseTextArgs {
  /**
   * Letters of the shortest texts.
   */
  min_length?: number;
  /**
   * Letters of the longest texts; every length is equally frequent.
   */
  max_length?: number;
  /**
   * The letters to draw from.
   */
  alphabet?: string;
  /**
   * The prompt, with a place for what varies in braces.
   */
  prompt?: string;
}
/**
 * Put the letters of a text in the order of the alphabet given: the prompt is sort(banana)=, the answer aaabnn. No two texts are anagrams of each other, on either side.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "SortLettersArgs".
 */
export interface SortLettersArgs {
  /**
   * Letters of the shortest texts.
   */
  min_length?: number;
  /**
   * Letters of the longest texts; every length is equally frequent.
   */
  max_length?: number;
  /**
   * The letters to draw from.
   */
  alphabet?: string;
  /**
   * The prompt, with a place for what varies in braces.
   */
  prompt?: string;
}
/**
 * Count a letter in a text: the prompt is count(a,banana)=, the answer 3. No text is on both sides.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "CountLettersArgs".
 */
export interface CountLettersArgs {
  /**
   * Letters of the shortest texts.
   */
  min_length?: number;
  /**
   * Letters of the longest texts; every length is equally frequent.
   */
  max_length?: number;
  /**
   * The letters to draw from.
   */
  alphabet?: string;
  /**
   * The prompt, with a place for what varies in braces.
   */
  prompt?: string;
}
/**
 * Reach a target with + - * / and given numbers: the prompt is countdown(46,[3,7,25])=, one answer is 3*7+25. Use reward: { kind: task }, which checks any expression. Each multiset of numbers appears once, with one target: no set of numbers is on both sides.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "CountdownArgs".
 */
export interface CountdownArgs {
  /**
   * How many numbers there are.
   */
  numbers?: number;
  /**
   * The largest number; the smallest is 1.
   */
  max_number?: number;
  /**
   * The largest target.
   */
  max_target?: number;
  /**
   * Every number has to be used; otherwise each at most once.
   */
  use_all?: boolean;
  /**
   * The prompt, with places for what varies in braces.
   */
  prompt?: string;
}
/**
 * Keeps the policy near the model it started from. Acts on every rollout of a group with verdicts, also where the group's rewards are all equal, so a step without spread still trains. Costs a second forward pass. Default: off.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "KlPenalty".
 */
export interface KlPenalty {
  /**
   * Weight of the penalty in the loss.
   */
  coefficient: number;
  /**
   * k2 has the gradient of KL(policy‖reference), k3 that of KL(reference‖policy); k1 has none as a loss.
   */
  estimator?: 'k1' | 'k2' | 'k3';
}
/**
 * −w·log π, the loss of supervised fine-tuning. In a grpo stage the weight is the advantage.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "LossCrossEntropy".
 */
export interface LossCrossEntropy {
  /**
   * Selects this loss.
   */
  kind: 'cross_entropy';
  /**
   * How token terms become one number: sum; token_mean over all tokens of the batch; sequence_mean of each rollout's token mean; constant: divided by rollouts × constant_length.
   */
  reduction?: 'sum' | 'token_mean' | 'sequence_mean' | 'constant';
  constant_length?: ConstantLength;
  kl?: KlPenalty;
  entropy_bonus?: EntropyBonus;
}
/**
 * −(π/μ)·A: the plain policy gradient, corrected for the policy μ that drew the tokens.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "LossImportanceSampling".
 */
export interface LossImportanceSampling {
  /**
   * Selects this loss.
   */
  kind: 'importance_sampling';
  /**
   * How token terms become one number: sum; token_mean over all tokens of the batch; sequence_mean of each rollout's token mean; constant: divided by rollouts × constant_length.
   */
  reduction?: 'sum' | 'token_mean' | 'sequence_mean' | 'constant';
  constant_length?: ConstantLength;
  kl?: KlPenalty;
  entropy_bonus?: EntropyBonus;
}
/**
 * −min(r·A, clip(r)·A). With ratio: sequence the ratio is that of the whole answer (GSPO).
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "LossPpo".
 */
export interface LossPpo {
  /**
   * Selects this loss.
   */
  kind: 'ppo';
  /**
   * One ratio per token, or one per sequence (geometric mean over its tokens).
   */
  ratio?: 'token' | 'sequence';
  /**
   * Absolute bound, 1 − ε: 0.8, not 0.2.
   */
  clip_low_threshold?: number;
  /**
   * Absolute bound, 1 + ε: 1.2, not 0.2.
   */
  clip_high_threshold?: number;
  /**
   * For negative advantages the loss is capped at this times |A|. Default: off.
   */
  dual_clip?: number;
  /**
   * How token terms become one number: sum; token_mean over all tokens of the batch; sequence_mean of each rollout's token mean; constant: divided by rollouts × constant_length.
   */
  reduction?: 'sum' | 'token_mean' | 'sequence_mean' | 'constant';
  constant_length?: ConstantLength;
  kl?: KlPenalty;
  entropy_bonus?: EntropyBonus;
}
/**
 * −sg(clip(r))·A·log π: the ratio is only a bounded weight, so no token loses its gradient.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "LossCispo".
 */
export interface LossCispo {
  /**
   * Selects this loss.
   */
  kind: 'cispo';
  /**
   * Absolute bound, 1 − ε: 0.8, not 0.2.
   */
  clip_low_threshold?: number;
  /**
   * Absolute bound, 1 + ε: 1.2, not 0.2.
   */
  clip_high_threshold?: number;
  /**
   * How token terms become one number: sum; token_mean over all tokens of the batch; sequence_mean of each rollout's token mean; constant: divided by rollouts × constant_length.
   */
  reduction?: 'sum' | 'token_mean' | 'sequence_mean' | 'constant';
  constant_length?: ConstantLength;
  kl?: KlPenalty;
  entropy_bonus?: EntropyBonus;
}
/**
 * −(A·log π − ½β(log π − log μ)²).
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "LossDro".
 */
export interface LossDro {
  /**
   * Selects this loss.
   */
  kind: 'dro';
  /**
   * Weight of the quadratic pull towards the sampling policy.
   */
  beta?: number;
  /**
   * How token terms become one number: sum; token_mean over all tokens of the batch; sequence_mean of each rollout's token mean; constant: divided by rollouts × constant_length.
   */
  reduction?: 'sum' | 'token_mean' | 'sequence_mean' | 'constant';
  constant_length?: ConstantLength;
  kl?: KlPenalty;
  entropy_bonus?: EntropyBonus;
}
/**
 * A TypeScript file whose default export builds the per-token term.
 *
 * This interface was referenced by `PipelineFile`'s JSON-Schema
 * via the `definition` "LossModule".
 */
export interface LossModule {
  /**
   * Selects this loss.
   */
  kind: 'module';
  /**
   * The file, relative to the file that names it.
   */
  path: string;
  /**
   * How token terms become one number: sum; token_mean over all tokens of the batch; sequence_mean of each rollout's token mean; constant: divided by rollouts × constant_length.
   */
  reduction?: 'sum' | 'token_mean' | 'sequence_mean' | 'constant';
  constant_length?: ConstantLength;
  kl?: KlPenalty;
  entropy_bonus?: EntropyBonus;
}
