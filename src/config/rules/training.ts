/** @file Loss, advantages, schedule: fields that contradict each other, and fields that do nothing. */
import { lossPresets } from '../loss-presets.ts';
import { nodeAt, placeOf, textAt, type Path } from '../tree.ts';
import type { LossPreset } from '../pipeline-file.generated.ts';
import type { StageRule } from './context.ts';

const loss = (key: string): Path => ['train', 'loss', key];
const advantage = (key: string): Path => ['train', 'advantage', key];

export const trainingRules: readonly StageRule[] = [
  function lossFieldsAgree({ trainsOnRollouts, stage, isWritten, node, report }) {
    if (!trainsOnRollouts) return;
    const { loss: fields } = stage.train;
    if (fields.reduction !== 'constant' && node(loss('constant_length')) !== undefined) {
      report('loss-conflict', `"constant_length" belongs to reduction: constant, but the reduction is ${fields.reduction}`, [loss('constant_length'), loss('reduction')], { fix: 'remove one of the two' });
    }
    if (fields.kl?.estimator === 'k1') report('no-effect', 'the k1 estimator has no gradient on average, so as a part of the loss it does nothing', [['train', 'loss', 'kl', 'estimator']], { fix: 'use k2 or k3' });
    if (fields.kl === undefined && isWritten(['train', 'loss', 'kl'])) report('no-effect', 'a KL coefficient of 0 does nothing', [['train', 'loss', 'kl', 'coefficient']], { fix: 'remove "kl"' });
    if (fields.kind !== 'ppo' && fields.kind !== 'cispo') return;
    const { clipLowThreshold: low, clipHighThreshold: high } = fields;
    if (low === high) report('loss-conflict', `the ratio is clipped to exactly ${low}, so nothing can be learnt`, [loss('clip_low_threshold'), loss('clip_high_threshold')], { fix: 'for example 0.8 and 1.2' });
    if (fields.kind !== 'ppo') return;
    if (fields.dualClip !== undefined && fields.dualClip <= high) {
      report('loss-conflict', `"dual_clip" (${fields.dualClip}) must be above "clip_high_threshold" (${high})`, [loss('dual_clip'), loss('clip_high_threshold')], { fix: 'usually 3' });
    }
    if (fields.ratio === 'sequence' && fields.reduction !== 'sequence_mean') {
      report('not-as-named', `a sequence ratio (GSPO) is defined with reduction: sequence_mean; with ${fields.reduction} long answers weigh more`, [loss('ratio'), loss('reduction')]);
    }
  },

  function presetKeepsItsAdvantages({ trainsOnRollouts, stage, node, isWritten, report }) {
    if (!trainsOnRollouts) return;
    const { lossName: name } = stage.train;
    const preset = Object.hasOwn(lossPresets, name) ? lossPresets[name as LossPreset] : undefined;
    const written = node(advantage('normalize'));
    const used = stage.train.advantage.normalize;
    if (preset?.because == null || written?.origin.kind === 'preset' || !isWritten(advantage('normalize')) || used === preset.normalize) return;
    const at = placeOf(node(['train', 'loss']));
    report('not-as-named', `${name} ${preset.because}; with normalize: ${used} it is another algorithm`, [advantage('normalize')], { fix: 'remove it', related: at === null ? [] : [{ message: `${name} is chosen here`, at }] });
  },

  function advantageFieldsAreUsed({ trainsOnRollouts, stage, isWritten, report }) {
    const { normalize } = stage.train.advantage;
    if (!trainsOnRollouts || normalize === 'std' || normalize === 'batch_std') return;
    for (const key of ['ddof', 'delta']) {
      if (isWritten(advantage(key))) report('no-effect', `"train.advantage.${key}" does nothing with normalize: ${normalize}, which divides by no standard deviation`, [advantage(key), advantage('normalize')]);
    }
  },

  function severalUpdatesAreClipped({ trainsOnRollouts, stage, report }) {
    const { updates, loss: { kind } } = stage.train;
    if (!trainsOnRollouts || updates === 1 || kind === 'ppo' || kind === 'cispo' || kind === 'dro' || kind === 'module') return;
    report('off-policy', `from the second of ${updates} updates on, the data come from an older policy, and ${kind} does not bound the difference`, [['train', 'updates'], ['train', 'loss']], { fix: 'use ppo, cispo, grpo, dapo or gspo' });
  },

  function scheduleFits({ learns, stage, isWritten, report }) {
    const { kind, warmup } = stage.train.schedule;
    const key = (name: string): Path => ['train', 'schedule', name];
    if (learns && warmup >= stage.steps) report('no-effect', `the warm-up of ${warmup} steps is not over when the stage ends after ${stage.steps}, so the learning rate is never reached`, [key('warmup'), ['steps']]);
    if (learns && kind === 'constant' && isWritten(key('final'))) report('no-effect', '"train.schedule.final" does nothing with kind: constant', [key('final'), key('kind')], { fix: 'use kind: linear or cosine' });
  },

  function supervisedStageHasItsOwnLoss({ stage, own, report }) {
    const written = nodeAt(own, ['train', 'loss']);
    if (stage.kind !== 'sft' || written === undefined || textAt(written, 'kind') === 'cross_entropy') return;
    if (written.type === 'scalar' && written.value === 'cross_entropy') return;
    report('no-effect', 'an sft stage always learns by cross_entropy', [], { at: placeOf(written), fix: 'remove it' });
  },
];
