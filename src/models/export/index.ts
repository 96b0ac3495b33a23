/** @file A checkpoint as a directory that other tools load. */
import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Model } from '../../onnx/index.ts';
import { ModelError } from '../errors.ts';
import { exists, readJsonObject } from '../files.ts';
import { readTokenizerFiles } from '../import-safetensors.ts';
import { createDirectory, writeJsonFiles } from '../model-directory.ts';
import { writeOnnxFile } from '../onnx-file.ts';
import { writeSafetensors } from '../safetensors.ts';
import type { StoredModel } from '../stored-model.ts';
import { namedBase } from './adapter-base.ts';
import { bakeCheckpoint, readWeights } from './bake.ts';
import { toHalf } from './half.ts';
import { huggingFaceTensors } from './hugging-face.ts';
import { removeExport, writeListing } from './listing.ts';
import { peftConfig, peftTensors } from './peft.ts';
import { placeExport } from './place.ts';
import { quantizeWeights } from './quantize.ts';
import { withMarksSaid } from './tokenizer-marks.ts';

export type ExportFormat = 'transformers.js' | 'safetensors' | 'peft';
export type ExportDtype = 'fp32' | 'fp16' | 'q8' | 'q4';

export interface ExportOptions {
  model: StoredModel;
  /** A checkpoint's id; null is the model as it was forked. */
  checkpoint: string | null;
  directory: string;
  format: ExportFormat;
  /** Hugging Face weights are fp32 or fp16, adapters fp32. */
  dtype: ExportDtype;
  /** Replaces a directory that an export made before, if nobody has put anything else there. */
  replace?: boolean;
  /** Folders that must neither be replaced nor lie in what is. */
  keep?: readonly string[];
  /** Weights beside the graph instead of in it; default: when they are large. */
  external?: boolean;
}

/** How transformers.js finds a precision, and how the graph gets it. */
const precisions: Readonly<Record<ExportDtype, { file: string; convert: (model: Model) => Model }>> = {
  fp32: { file: 'model.onnx', convert: (model) => model },
  fp16: { file: 'model_fp16.onnx', convert: toHalf },
  q8: { file: 'model_quantized.onnx', convert: (model) => quantizeWeights(model, { bits: 8 }) },
  q4: { file: 'model_q4.onnx', convert: (model) => quantizeWeights(model, { bits: 4 }) },
};

/** Writes the directory as a whole or not at all. Throws a `ModelError` when the model cannot be written in that form. */
export async function exportCheckpoint(options: ExportOptions): Promise<void> {
  const { format, dtype, model, checkpoint, replace = false, keep = [] } = options;
  const directory = await placeExport(options.directory, { replace, root: dirname(dirname(model.directory)), keep });
  const about = { model: model.slug, checkpoint: checkpoint === null ? null : (await model.find(checkpoint)).name, format, dtype };
  const write = await writers[format](options);
  await createDirectory(directory, async (temporary) => {
    await write(temporary);
    await writeListing(temporary, about);
  }, replace ? { removeOld: removeReplaced } : {});
}

/** Somebody may have added a file between the look and the renaming. */
async function removeReplaced(old: string): Promise<void> {
  if (!(await removeExport(old))) {
    throw new ModelError('conflict', `something was put into the export while it was replaced; it lies in ${old} now`, { fix: 'Move it where it belongs, and remove that folder.' });
  }
}

/** A checkpoint as a base of the store: several processes may make the same at once. */
export async function bakeBase(options: Pick<ExportOptions, 'model' | 'checkpoint' | 'directory'>): Promise<void> {
  const write = await writers['transformers.js']({ ...options, format: 'transformers.js', dtype: 'fp32' });
  await createDirectory(options.directory, write, { whenThere: 'take' });
}

type Writer = (options: ExportOptions) => Promise<(temporary: string) => Promise<void>>;

const writers: Readonly<Record<ExportFormat, Writer>> = {
  async 'transformers.js'(options) {
    const { dtype, external } = options;
    const { config, companions } = await describe(options);
    const { file, convert } = precisions[dtype];
    const model = convert(await bake(options));
    return async (temporary) => {
      await mkdir(join(temporary, 'onnx'));
      const path = join(temporary, 'onnx', file);
      await writeOnnxFile(path, model, external === undefined ? {} : { external });
      const isExternal = await exists(`${path}_data`);
      const settings = { ...(dtype === 'fp32' ? {} : { dtype }), ...(isExternal ? { use_external_data_format: { [file]: 1 } } : {}) };
      const { 'transformers.js_config': _, ...rest } = config;
      await writeJsonFiles(temporary, { ...companions, 'config.json': Object.keys(settings).length === 0 ? rest : { ...rest, 'transformers.js_config': settings } });
    };
  },

  async safetensors(options) {
    const { dtype } = options;
    if (dtype === 'q8' || dtype === 'q4') throw unfit(`Hugging Face weights are fp32 or fp16, not ${dtype}`, 'Choose dtype fp32 or fp16, or the format transformers.js.');
    return huggingFaceWriter(await bake(options), { ...(await describe(options)), dtype });
  },

  async peft(options) {
    const { model: { record, slug }, checkpoint, dtype, directory } = options;
    const { train } = record;
    if (train.method !== 'lora') throw unfit(`model "${slug}" is trained in full and has no adapter`, 'Choose the format transformers.js or safetensors.');
    if (checkpoint === null) throw unfit(`model "${slug}" has no checkpoint yet, so no adapter`, 'Train it first.');
    if (dtype !== 'fp32') throw unfit(`adapters are written in fp32, not ${dtype}`, 'Choose dtype fp32.');
    const adapters = await readWeights(await options.model.verifiedDirectory(checkpoint));
    const named = await namedBase(record);
    const forked = { ...options, checkpoint: null };
    const { config, companions } = await describe(forked);
    const writeBase = named === null ? huggingFaceWriter(await bake(forked), { config, companions, dtype }) : null;
    const { 'generation_config.json': _, ...tokenizer } = companions;
    return async (temporary) => {
      await writeSafetensors(join(temporary, 'adapter_model.safetensors'), peftTensors(adapters), { metadata: { format: 'pt' } });
      await writeJsonFiles(temporary, { ...tokenizer, 'adapter_config.json': peftConfig(adapters, train, named ?? { name: resolve(directory, besideAdapter), revision: null }) });
      if (writeBase === null) return;
      await mkdir(join(temporary, besideAdapter));
      await writeBase(join(temporary, besideAdapter));
    };
  },
};

/** Where the base of an adapter lies when no name leads to it. */
const besideAdapter = 'base';

/** A directory that transformers loads. */
function huggingFaceWriter(model: Model, { config, companions, dtype }: { config: Record<string, unknown>; companions: Record<string, unknown>; dtype: 'fp32' | 'fp16' }): (directory: string) => Promise<void> {
  const tensors = huggingFaceTensors(model, config, { half: dtype === 'fp16' });
  const torchDtype = dtype === 'fp16' ? 'float16' : 'float32';
  const { 'transformers.js_config': _, ...rest } = config;
  return async (directory) => {
    await writeSafetensors(join(directory, 'model.safetensors'), tensors, { metadata: { format: 'pt' } });
    await writeJsonFiles(directory, { ...companions, 'config.json': { ...rest, dtype: torchDtype, torch_dtype: torchDtype } });
  };
}

async function bake({ model, checkpoint }: ExportOptions): Promise<Model> {
  return bakeCheckpoint(model.record, checkpoint === null ? null : await model.verifiedDirectory(checkpoint));
}

async function describe({ model: { record }, checkpoint }: ExportOptions): Promise<{ config: Record<string, unknown>; companions: Record<string, unknown> }> {
  const config = await readJsonObject(join(record.baseDirectory, 'config.json'));
  // An adapter on a head that was the embedding makes it a head of its own.
  const hasOwnHead = checkpoint !== null && record.train.method === 'lora' && adaptsHead(record.train.targets);
  return { config: hasOwnHead ? { ...config, tie_word_embeddings: false } : config, companions: withMarksSaid(await readTokenizerFiles(record.baseDirectory)) };
}

/** `all-linear` is every layer but the head. */
const adaptsHead = (targets: readonly string[]): boolean => targets.some((target) => target === 'lm_head' || target.endsWith('.lm_head'));

const unfit = (message: string, fix: string): ModelError => new ModelError('usage', message, { fix });
