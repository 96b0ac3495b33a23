/** @file The model, its adapters, and what is exported of it. */
import { dirname, resolve, sep } from 'node:path';
import type { StageRule } from './context.ts';

export const modelRules: readonly StageRule[] = [
  function modelIsNotItsOwnSource({ pipeline, report }) {
    const { fork, name } = pipeline.model;
    if (fork === name || fork.startsWith(`${name}@`)) {
      report('own-source', `a fork is a new model, so "${name}" cannot be forked from itself`, [['model', 'name'], ['model', 'fork']], { fix: `give it another name, such as ${name}-2` });
    }
  },

  function targetsCanNameLayers({ pipeline, report }) {
    const { train } = pipeline.model;
    if (train.method !== 'lora') return;
    for (const [index, target] of train.targets.entries()) {
      if (!/^[\w.*-]+$/.test(target)) report('bad-target', `"${target}" cannot name a layer`, [['model', 'train', 'targets', index]], { fix: 'names are like q_proj, layers.*.mlp.up_proj or all-linear' });
      else if (target === 'all-linear' && train.targets.length > 1) report('no-effect', 'beside all-linear the other targets add nothing', [['model', 'train', 'targets', index]]);
    }
  },

  function exportCanBeMade({ stage, pipeline, report }) {
    if (stage.export === null) return;
    const { directory, dtype, format } = stage.export;
    const { fork, train } = pipeline.model;
    if (format === 'peft' && train.method !== 'lora') {
      report('export-mismatch', 'format: peft holds LoRA adapters, and this model trains all of its weights', [['format'], ['model', 'train', 'method']], { fix: 'use format: safetensors' });
    }
    if (format !== 'transformers.js' && (dtype === 'q8' || dtype === 'q4')) {
      report('export-mismatch', `${dtype} exists for format: transformers.js only`, [['dtype'], ['format']], { fix: 'use fp32 or fp16' });
    }
    const outer = pipeline.stages.find((other) => other.export !== null && resolve(directory).startsWith(`${resolve(other.export.directory)}${sep}`));
    if (outer !== undefined) report('export-mismatch', `this lies inside what stage "${outer.name}" exports, which could not be replaced any more`, [['directory']], { fix: 'use a directory beside it' });
    const source = fork.startsWith('config:') ? dirname(fork.slice('config:'.length)) : fork;
    if (resolve(directory) === source) report('export-mismatch', 'this would overwrite the model that it is made from', [['directory'], ['model', 'fork']], { fix: 'use a directory of its own' });
  },
];
