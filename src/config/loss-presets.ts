/**
 * @file Published algorithms by name: the loss each one means, and the advantages that belong to it. A preset is nothing but these
 * fields; `rlrun check --resolved` shows them, and an object under `train.loss` can say the same.
 */
import type { Loss as LossFields, LossPreset } from './pipeline-file.generated.ts';

export interface Preset {
  readonly loss: LossFields;
  readonly normalize: 'none' | 'std';
  /** What the algorithm is named for, as a clause: said when the user overrides it. Null where any advantage will do. */
  readonly because: string | null;
}

const clipped = { kind: 'ppo', ratio: 'token', clip_low_threshold: 0.8, clip_high_threshold: 1.2 } as const;

export const lossPresets: { readonly [P in LossPreset]: Preset } = {
  // HUD's and Tinker's losses: sums over tokens, centred advantages, the ratio against the policy that drew the tokens.
  importance_sampling: { loss: { kind: 'importance_sampling', reduction: 'sum' }, normalize: 'none', because: null },
  ppo: { loss: { ...clipped, reduction: 'sum' }, normalize: 'none', because: null },
  dro: { loss: { kind: 'dro', beta: 0.05, reduction: 'sum' }, normalize: 'none', because: null },
  cross_entropy: { loss: { kind: 'cross_entropy', reduction: 'sum' }, normalize: 'none', because: null },
  // MiniMax-M1 (arXiv 2506.13585), with the cap that ART and SkyRL use.
  cispo: { loss: { kind: 'cispo', clip_low_threshold: 0, clip_high_threshold: 5, reduction: 'token_mean' }, normalize: 'std', because: 'divides by the standard deviation of the group' },
  // DeepSeekMath (arXiv 2402.03300); β = 0, as in use today.
  grpo: { loss: { ...clipped, reduction: 'sequence_mean' }, normalize: 'std', because: 'divides by the standard deviation of the group' },
  // arXiv 2503.20783: both the standard deviation and 1/|o| are biases, so neither is left.
  dr_grpo: { loss: { ...clipped, reduction: 'constant' }, normalize: 'none', because: 'is GRPO without the standard deviation' },
  // arXiv 2503.14476: clip-higher and the token mean. Its refilling of uniform groups and its length penalty are not part of a loss.
  dapo: { loss: { ...clipped, clip_high_threshold: 1.28, reduction: 'token_mean' }, normalize: 'std', because: 'divides by the standard deviation of the group' },
  // arXiv 2507.18071
  gspo: { loss: { kind: 'ppo', ratio: 'sequence', clip_low_threshold: 0.9997, clip_high_threshold: 1.0004, reduction: 'sequence_mean' }, normalize: 'std', because: 'divides by the standard deviation of the group' },
};
