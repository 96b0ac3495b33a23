/** Keeps what jobs of one command share: the store, and an engine that stays open as long as it fits. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ResolvedPipeline, type Secrets, concealer, describeLocation, formatDiagnostics, loadPipeline, printResolved, settingPlace } from '../config/index.ts';
import type { Emit, JobEvent } from '../events.ts';
import {
  type ControlPanel,
  type Load,
  type Materials,
  type OpenedModel,
  type StoredJob,
  type JobResult,
  engineOptions,
  exportHead,
  openModel,
  refusePrompts,
  startJob,
  warmUpEngine,
} from '../pipeline/index.ts';
import { jobPrints } from '../runtimes/index.ts';
import { readRegularFile } from '../util/regular-file.ts';
import { quoted } from '../util/words.ts';
import type { Invocation } from './types.ts';
import { exitOfDiagnostics, readMaterials, setsOf, tellDiagnostics } from './commands/load.ts';
import { CommandError, type Exit } from './exit-codes.ts';
import { foldersToKeep, rootOf } from './paths.ts';
import { isUseless, proveRewards } from './proof.ts';
import { resumeCommand, toldArgv } from './resume.ts';
import { sealOf } from './seal.ts';
import { storeOf } from './store.ts';
import { surroundings } from './surroundings.ts';

/** A pipeline that is ready to run. */
export interface Prepared {
  pipeline: ResolvedPipeline;
  /** The same without secrets, and what they are. */
  shown: ResolvedPipeline;
  secrets: Secrets;
  materials: Materials;
  /** The file, byte for byte. */
  source: string;
  /** The resolved pipeline as YAML, with the origin of every value. */
  describe: () => string;
  /** Where a setting of a stage was written: `pipelines/arith.yaml:21:12`. */
  placeOf: (stage: number, key: string) => string;
}

export type Outcome = { kind: 'not-started'; exit: Exit } | { kind: 'ran'; id: string; directory: string; result: JobResult };

type LoadWithExit = (Load<Prepared> & { ok: true }) | (Load<Prepared> & { ok: false; exit: Exit });

export interface WorkbenchOptions {
  panel: ControlPanel;
  listen: (event: JobEvent) => void;
  /** Does a full screen own the terminal, so that nothing may be written? */
  isSilent?: () => boolean;
}

export class Workbench implements AsyncDisposable {
  readonly invocation: Invocation;
  readonly options: WorkbenchOptions;
  readonly root: string;
  /** While a model is fetched and opened: nothing has begun that could be finished. */
  isOpening = false;
  /** Of the checkpoints of the model that is open, by id. */
  readonly names = new Map<string, string>();
  /** Of the job that runs, or ran last. */
  directory: string | null = null;
  /** The voice of that job: what it says is kept in the job's files. */
  private voice: Emit | null = null;
  private folder: string | null = null;
  private opened: (OpenedModel & { key: string }) | null = null;
  /** Rewards run in workers, which live until they are sent away. */
  private readonly loaded = new Set<Materials>();

  constructor(invocation: Invocation, options: WorkbenchOptions) {
    this.invocation = invocation;
    this.options = options;
    this.root = rootOf(invocation.io);
  }

  /** Tells the screen, and the files of the job that runs or ran last. */
  readonly emit: Emit = (type, data) => {
    if (this.voice) this.voice(type, data);
    else this.options.listen({ type, time: Date.now(), ...data } as unknown as JobEvent);
  };

  /** What user code prints. */
  private readonly prints = jobPrints((text) => this.emit('log', { level: 'debug', message: text }));

  /** Reads the pipeline and everything that it names; tells what is wrong. */
  async load(): Promise<LoadWithExit> {
    const { args: [file = ''], flags, io } = this.invocation;
    const loaded = await loadPipeline({ file, sets: setsOf(flags), env: io.env, directory: io.cwd });
    const isSilent = this.options.isSilent?.() ?? false;
    if (!isSilent) tellDiagnostics(loaded, { flags, io });
    if (!loaded.ok) return { ok: false, files: loaded.files, message: formatDiagnostics(loaded.diagnostics), exit: exitOfDiagnostics(loaded) };
    const { pipeline, shown, secrets } = loaded;
    io.conceal(concealer(secrets));
    if (!this.opened) await warmUpEngine();
    const read = await readMaterials(loaded, {
      io,
      onOutput: this.prints.add,
      signal: this.options.panel.signal,
    });
    if (!read.ok) {
      if (!isSilent) tellDiagnostics(read, { flags, io });
      return { ok: false, files: [...loaded.files, ...read.files], message: formatDiagnostics(read.diagnostics), exit: 'usage' };
    }
    const { materials } = read;
    this.loaded.add(materials);
    const { config, taskset, reward } = materials.hashes;
    return {
      ok: true,
      version: {
        hash: [config, taskset, reward].join('-'),
        files: [...new Set([...loaded.files, ...Object.values(materials.files).flat()])],
        value: {
          ...{ pipeline, shown, secrets, materials, source: await readRegularFile(pipeline.file) },
          describe: () => printResolved(loaded.origins),
          placeOf: (stage, key) => describeLocation(settingPlace(loaded.origins, { stage, key })),
        },
      },
    };
  }

  /**
   * The engine over the pipeline's model; the one that is open, if it is the right one. `justLooking`: a model that does not exist yet is not
   * made, as far as it can be helped, but opened in a folder that goes away.
   */
  async open({ pipeline, materials: { losses } }: Pick<Prepared, 'pipeline' | 'materials'>, { justLooking = false } = {}): Promise<OpenedModel> {
    if (this.opened && this.opened.key === keyOf({ pipeline, losses }, this.opened)) return this.opened;
    await this.opened?.[Symbol.asyncDispose]();
    this.opened = null;
    const root = justLooking ? await this.rootForLooking(pipeline) : this.root;
    this.isOpening = true;
    const opened = await openModel({ store: await storeOf(this.invocation.io, { root, say: (message) => this.emit('log', { level: 'info', message }) }), pipeline, losses, signal: this.options.panel.signal }).finally(() => (this.isOpening = false));
    for (const { id, name } of await opened.model.checkpoints()) this.names.set(id, name);
    this.opened = Object.assign(opened, { key: keyOf({ pipeline, losses }, opened) });
    return this.opened;
  }

  /** Runs one job to its end. `head`: where it begins, if not at the head. */
  async run(prepared: Prepared, { resume, parentJob, head }: { resume: StoredJob | null; parentJob: string | null; head?: string | null }): Promise<Outcome> {
    const { pipeline, shown, secrets, source } = prepared;
    const { flags, io } = this.invocation;
    await this.keepOnly(prepared.materials);
    this.prints.reset();
    const materials = this.sealed(prepared);
    const argv = toldArgv(io.argv, secrets);
    const around = surroundings(argv, io.cwd);
    if (!resume) await this.refuseIfNothingIsJudged(prepared);
    const { model, engine, tokenizer } = await this.open(prepared);
    for (const [index, { kind }] of pipeline.stages.entries()) if (kind === 'sft' || kind === 'grpo') this.refuseIfNoPromptFits(prepared, index, 'train');
    await using _ = await model.lock(`a job of ${pipeline.name}`);
    if (flags.from !== undefined && !resume && !parentJob) await model.setHead(flags.from === 'base' ? null : (await model.find(flags.from)).id);
    if (head !== undefined) await model.setHead(head);
    const started = await startJob({
      ...{ root: this.root, pipeline, shown, source, materials, model, engine, tokenizer, resume, parentJob },
      ...this.options,
      conceal: secrets.size === 0 ? null : concealer(secrets),
      exportModel: (settings) => exportHead(model, settings, { keep: foldersToKeep(io, pipeline.file) }),
      onEmit: (emit, directory) => void ([this.voice, this.directory] = [emit, directory]),
      clock: () => performance.timeOrigin + performance.now(),
      surroundings: await around,
      resumeCommand: resumeCommand(argv),
    });
    return { kind: 'ran', ...started };
  }

  /** A reward that has no verdict on any task teaches nothing. Of the built-in ones that is known at once; the user's own are asked by the first evaluation. */
  private async refuseIfNothingIsJudged({ pipeline, materials, placeOf }: Prepared): Promise<void> {
    for await (const proof of proveRewards(pipeline, { materials, signal: this.options.panel.signal, builtInOnly: true })) {
      if (!isUseless(proof)) continue;
      throw new CommandError('usage', `${placeOf(proof.stage, 'reward')}: no task gets a verdict: ${proof.messages[0]}`, `rlrun check ${quoted(this.invocation.args[0] ?? '')} tells more.`);
    }
  }

  /** The materials with hashes that may be written down. */
  sealed({ materials, secrets }: Pick<Prepared, 'materials' | 'secrets'>): Materials {
    const seal = sealOf(this.root, secrets);
    const { config, taskset, reward } = materials.hashes;
    return seal === null ? materials : { ...materials, hashes: { config: seal(config), taskset: seal(taskset), reward: seal(reward) } };
  }

  /** A stage whose prompts are all too long for the model that is open would lose every rollout: nothing is begun then. */
  refuseIfNoPromptFits({ pipeline, materials, placeOf }: Prepared, index: number, split: 'train' | 'eval'): void {
    const { engine, tokenizer } = this.opened!;
    const refused = refusePrompts(materials.stages[index]!.taskset[split], { settings: pipeline.stages[index]!.agent, tokenizer, contextLength: engine.info.contextLength, split });
    if (refused) throw new CommandError('usage', `${placeOf(index, refused.key ?? '')}: ${refused.message}`, refused.fix);
  }

  private async rootForLooking({ model: { name, fork } }: ResolvedPipeline): Promise<string> {
    const { parseSource } = await import('../models/index.ts');
    const needsRoot = ['hub', 'model'].includes(parseSource(fork, { cwd: this.invocation.io.cwd }).kind);
    if (needsRoot || existsSync(join(this.root, 'models', name))) return this.root;
    return (this.folder = await mkdtemp(join(tmpdir(), 'rlrun-')));
  }

  /** Sends away the rewards of every version but this one. */
  async keepOnly(materials: Materials | null): Promise<void> {
    for (const other of this.loaded) {
      if (other === materials) continue;
      this.loaded.delete(other);
      await other[Symbol.asyncDispose]();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.keepOnly(null);
    await this.opened?.[Symbol.asyncDispose]();
    if (this.folder) await rm(this.folder, { recursive: true, force: true });
  }
}

/** An engine loads a custom loss once: edited code needs another engine. */
const keyOf = ({ pipeline, losses }: { pipeline: ResolvedPipeline; losses: Materials['losses'] }, { model }: Pick<OpenedModel, 'model'>): string =>
  JSON.stringify([pipeline.model, engineOptions(pipeline, model), losses.hash]);
