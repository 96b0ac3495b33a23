/** `rlrun models …`: the store. Tables on stdout, remarks on stderr, `--json` for programs. */
import { resolve } from 'node:path';
import { type CheckpointNode, type ModelError, type StoredCheckpoint, type StoredModel, checkpointTree } from '../../models/index.ts';
import { formatBytes, formatNumber } from '../../plot/index.ts';
import { expandHome } from '../../util/home.ts';
import { count, formatScore } from '../../util/words.ts';
import type { Handler } from '../types.ts';
import { CommandError } from '../exit-codes.ts';
import { foldersToKeep, shorten } from '../paths.ts';
import { storeOf } from '../store.ts';
import { table } from '../text.ts';

export const list: Handler = async ({ flags, io }) => {
  const models = await (await storeOf(io)).list();
  if (flags.json) {
    for (const listing of models) io.json({ type: 'model', ...listing });
    return 'ok';
  }
  if (flags.quiet) {
    io.print(models.map(({ source }) => source).join('\n'));
    return 'ok';
  }
  const rows = models.map(({ source, kind, base, head, checkpoints, bytes, obstacle }) => [
    source,
    kind === 'model' ? (base ?? '–') : 'base',
    kind === 'model' ? (head?.name ?? 'base') : '',
    kind === 'model' ? String(checkpoints) : '',
    formatBytes(bytes),
    obstacle === null ? '✓' : `✗ ${obstacle}`,
  ]);
  io.print(table([{ title: 'Name' }, { title: 'Base' }, { title: 'Head' }, { title: 'Checkpoints', align: 'right' }, { title: 'Size', align: 'right' }, { title: 'Trainable' }], rows));
  return 'ok';
};

export const fork: Handler = async ({ args: [source = ''], flags, io }) => {
  if (!flags.name) throw new CommandError('usage', 'A fork needs a name.', `For example: rlrun models fork ${source} --name my-model`);
  const { ifNotExists = false, dryRun = false } = flags;
  const store = await storeOf(io);
  const { record, created } = await store.fork({ source, slug: flags.name, ifNotExists, dryRun, signal: io.signal });
  if (flags.json) io.json({ type: 'fork', created, dryRun, ...record });
  const from = await store.originOf(record);
  io.say(created ? `forked ${record.slug} from ${from}` : dryRun ? `would fork ${record.slug} from ${from}` : `${record.slug} exists already, from ${from}`);
  if (created) io.say(`next: rlrun sample ${record.slug} "…"`);
  return 'ok';
};

export const checkpoints: Handler = async ({ args: [slug = ''], flags, io }) => {
  const model = await (await storeOf(io)).model(slug);
  const { checkpoints: all, problems } = await model.scan();
  // Whoever looks for a way out of a lost head looks here.
  const lost: ModelError[] = [];
  const head = (await model.head().catch((error: ModelError) => void lost.push(error)))?.id ?? null;
  for (const { message, fix } of lost) io.say(`${io.paint('yellow', 'warning')}: ${message}\n  ${fix}`);
  if (flags.json) {
    for (const checkpoint of all) io.json({ type: 'checkpoint', is_active: checkpoint.id === head, ...checkpoint });
    return 'ok';
  }
  if (all.length === 0) io.say(`${slug} has no checkpoints yet; its head is the base.`);
  else if (flags.quiet) io.print(all.map(({ name }) => name).join('\n'));
  else {
    const rows = [baseRow(lost.length > 0 ? undefined : head), ...treeRows(checkpointTree(all), head)];
    io.print(table([{ title: '' }, { title: 'Name' }, { title: 'Reward', align: 'right' }, { title: 'Eval', align: 'right' }, { title: 'Loss' }, { title: 'Traces', align: 'right' }, { title: 'Created' }], rows));
  }
  for (const { name, problem } of problems) io.say(`${io.paint('yellow', 'warning')}: checkpoint ${name} is damaged: ${problem}`);
  return 'ok';
};

const baseRow = (head: string | null | undefined): string[] => [head === null ? '▶' : '', 'base', '', '', '', '', ''];

/** A chain stays in one column; only a branch moves to the right. In a loop: a model has as many checkpoints as it learnt steps. */
function treeRows(roots: readonly CheckpointNode<StoredCheckpoint>[], head: string | null): string[][] {
  interface Place {
    node: CheckpointNode<StoredCheckpoint>;
    /** What stands before its name, and before the names below it. */
    mark: string;
    stem: string;
  }
  const placed = (nodes: readonly CheckpointNode<StoredCheckpoint>[], stem: string): Place[] =>
    nodes.length === 1
      ? [{ node: nodes[0]!, mark: stem, stem }]
      : nodes.map((node, index) => (index === nodes.length - 1 ? { node, mark: `${stem}└─ `, stem: `${stem}   ` } : { node, mark: `${stem}├─ `, stem: `${stem}│  ` }));
  const rows: string[][] = [];
  const waiting = placed(roots, '').toReversed();
  for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
    const { node: { checkpoint, children, parentIsMissing }, mark, stem } = place;
    const { id, name, meanReward, metrics, loss, traces, createdAt, pruned } = checkpoint;
    const remarks = [pruned ? '(pruned)' : '', parentIsMissing ? '(parent missing)' : ''].filter(Boolean).join(' ');
    rows.push([id === head ? '▶' : '', `${mark}${name}${remarks ? ` ${remarks}` : ''}`, formatScore(meanReward), formatScore(metrics['eval/reward'] ?? null), loss ?? '', String(traces), createdAt.slice(0, 19).replace('T', ' ')]);
    waiting.push(...placed(children, stem).toReversed());
  }
  return rows;
}

export const head: Handler = async ({ args: [slug = ''], flags, io }) => {
  const model = await (await storeOf(io)).model(slug);
  if (flags.set !== undefined) {
    // A head that is lost is moved like any other.
    const before = await model.head().catch(() => undefined);
    const target = await findOrBase(model, flags.set);
    if (!flags.dryRun) await model.setHead(target?.id ?? null);
    if (flags.json) io.json({ type: 'head', model: slug, dryRun: flags.dryRun ?? false, before: before?.name ?? null, after: target?.name ?? null });
    io.say(`${flags.dryRun ? 'would move' : 'moved'} the head of ${slug}: ${before === undefined ? 'a lost one' : (before?.name ?? 'base')} → ${target?.name ?? 'base'}`);
    return 'ok';
  }
  const current = await model.head();
  if (flags.json) io.json({ type: 'head', model: slug, checkpoint: current });
  else if (!current) io.print('base');
  else {
    const { name, id, meanReward, loss, traces, createdAt } = current;
    io.print([name, `  id       ${id}`, `  reward   ${formatScore(meanReward)}`, `  loss     ${loss ?? '–'}`, `  traces   ${traces}`, `  created  ${createdAt.slice(0, 19).replace('T', ' ')}`, `  weights  ${shorten(model.stateDirectory(id), io)}`].join('\n'));
  }
  return 'ok';
};

const findOrBase = async (model: StoredModel, reference: string): Promise<StoredCheckpoint | null> => (reference === 'base' ? null : model.find(reference));

const TENSORS_SHOWN = 20;

export const diff: Handler = async ({ args: [slug = '', from = '', to], flags, io }) => {
  const model = await (await storeOf(io)).model(slug);
  const target = to ?? (await model.head())?.name;
  if (target === undefined) throw new CommandError('notFound', `The head of ${slug} is the base, which has no checkpoint to compare with.`, `Name two checkpoints: rlrun models diff ${slug} FROM TO`);
  const { tensors, relativeChange, changed, ...sides } = await model.diff(from, target);
  if (flags.json) {
    io.json({ type: 'diff', from: sides.from.name, to: sides.to.name, relativeChange, changed, tensors });
    return 'ok';
  }
  const rows = tensors.slice(0, flags.limit ?? TENSORS_SHOWN).map(({ name, shape, relativeChange: relative, largestChange }) => [name, `[${shape.join(', ')}]`, formatNumber(relative), formatNumber(largestChange)]);
  io.print(`${sides.from.name} → ${sides.to.name}: relative change ${formatNumber(relativeChange)} over ${count(tensors.length, 'tensor')}${changed.length > 0 ? `; made under another ${changed.join(', ')}` : ''}`);
  io.print(table([{ title: 'Tensor' }, { title: 'Shape' }, { title: '‖Δ‖/‖w‖', align: 'right' }, { title: 'max |Δ|', align: 'right' }], rows));
  return 'ok';
};

export const exportModel: Handler = async ({ args: [slug = ''], flags, io }) => {
  if (!flags.out) throw new CommandError('usage', 'An export needs a directory.', `For example: rlrun models export ${slug} --out ./${slug}`);
  const { exportCheckpoint } = await import('../../models/index.ts');
  const model = await (await storeOf(io)).model(slug);
  const checkpoint = flags.checkpoint === undefined ? await model.head() : await findOrBase(model, flags.checkpoint);
  const { format = 'transformers.js', dtype = 'fp32', force = false } = flags;
  const directory = resolve(io.cwd, expandHome(flags.out));
  await exportCheckpoint({ model, checkpoint: checkpoint?.id ?? null, directory, format, dtype, replace: force, keep: foldersToKeep(io) });
  if (flags.json) io.json({ type: 'export', model: slug, checkpoint: checkpoint?.name ?? null, directory, format, dtype });
  io.say(`exported ${slug} at ${checkpoint?.name ?? 'base'} as ${format} (${dtype}) to ${shorten(directory, io)}`);
  return 'ok';
};

export const prune: Handler = async ({ args: [slug = ''], flags, io }) => {
  const model = await (await storeOf(io)).model(slug);
  const { keep = 1, dryRun = false } = flags;
  const { pruned, bytes } = await model.prune({ keep, dryRun });
  if (flags.json) io.json({ type: 'prune', model: slug, dryRun, bytes, pruned: pruned.map(({ name }) => name) });
  io.say(`${dryRun ? 'would delete' : 'deleted'} the weights of ${count(pruned.length, 'checkpoint')} (${formatBytes(bytes)}); the head ${keep === 0 ? 'stays' : `and the ${keep === 1 ? 'newest' : `${keep} newest`} stay`}`);
  return 'ok';
};

