/**
 * @file From a decoder's logits to loss and gradients, in one graph.
 *
 * Only the logits of scored positions are ever computed; log-probabilities, entropy, loss and gradients follow in the same run.
 */
import { Builder, DECODER_LAYERS, OnnxError, differentiate, removeDeadNodes, type Model, type Value } from '../onnx/index.ts';
import { klTerms, lossTerms, type LossFunction, type LossTensors } from './losses/terms.ts';
import type { Loss } from './types.ts';

/** float32 (B, 1, S, S): who sees whom, in the graph for rows that hold more than one text. */
export const ATTENTION_BIAS = 'attention_bias';

/** The number of scored positions: under one name everywhere, so that shapes are known to be equal before the graph runs. */
export const SCORED = 'scored';

/** Inputs that the trainer adds to the decoder's own; N scored positions, B rollouts of the micro-batch. */
export const TRAINING_INPUTS = {
  /** int64 (N,): the token that was drawn there. */
  targets: 'targets',
  /** float32 (N, 1): 1/temperature. */
  inverseTemperature: 'inverse_temperature',
  samplingLogprobs: 'sampling_logprobs',
  advantages: 'advantages',
  weights: 'weights',
  sequence: 'sequence',
  inverseLengths: 'inverse_lengths',
  referenceLogprobs: 'reference_logprobs',
} as const;

/**
 * log softmax from its parts, shifted by a maximum through which no gradient need flow: the shift cancels.
 * @returns log-probabilities of the targets (N,) and the exact entropy (N,) of `logits` (N, V).
 */
function tokenLogprobs(b: Builder, logits: Value, targets: Value): { logprobs: Value; entropy: Value; stop: Value[] } {
  const maximum = b.reduceMax(logits, [-1], { keepDims: true });
  const shifted = b.sub(logits, maximum);
  const exps = b.exp(shifted);
  const sum = b.sum(exps, [-1], { keepDims: true });
  const logSum = b.log(sum);
  const chosen = b.gatherElements(shifted, b.unsqueeze(targets, [1]), 1);
  const logprobs = b.squeeze(b.sub(chosen, logSum), [1]);
  const meanShifted = b.div(b.sum(b.mul(exps, shifted), [-1], { keepDims: true }), sum);
  const entropy = b.squeeze(b.sub(logSum, meanShifted), [1]);
  return { logprobs, entropy, stop: [maximum] };
}

/** Scores targets without a loss: outputs `logprobs` and `entropy`. For reference log-probabilities and `forward`. */
export function scoringGraph(decoder: Model): Model {
  const b = new Builder(decoder);
  const { logprobs, entropy } = scored(b, decoder);
  b.output('logprobs', logprobs);
  b.output('entropy', entropy);
  return removeDeadNodes(b.build());
}

function scored(b: Builder, decoder: Model): { logprobs: Value; entropy: Value; stop: Value[] } {
  if (!b.has('logits')) throw new OnnxError('the decoder has no output "logits"');
  const targets = b.input(TRAINING_INPUTS.targets, 'int64', [SCORED]);
  const inverse = b.input(TRAINING_INPUTS.inverseTemperature, 'float32', [SCORED, 1]);
  return tokenLogprobs(b, scaledLogits(b, decoder, inverse), targets);
}

/** Logits over temperature. Where a product alone makes them, its left side is scaled instead: far fewer numbers than a vocabulary's. */
function scaledLogits(b: Builder, { nodes }: Model, inverse: Value): Value {
  const head = nodes.find(({ outputs }) => outputs.includes('logits'));
  if (head?.op !== 'MatMul' || head.domain !== '') return b.mul(b.value('logits'), inverse);
  const [rows, weight] = head.inputs.map((name) => b.value(name)) as [Value, Value];
  return b.within('logits', () => b.matmul(b.mul(rows, inverse), weight));
}

export interface TrainingGraphOptions {
  readonly loss: Loss;
  /** The loaded function of a `module` loss. */
  readonly custom?: LossFunction;
  /** Parameters (graph inputs) whose gradients are wanted. */
  readonly parameters: readonly string[];
  /** Layers that the backward computes a second time. */
  readonly recompute?: 'none' | 'layers' | undefined;
}

/** Outputs `loss`, `logprobs`, `entropy` and `grad.<parameter>`. */
export function trainingGraph(decoder: Model, { loss, custom, parameters, recompute = 'none' }: TrainingGraphOptions): Model {
  const b = new Builder(decoder);
  const vector = (name: string): Value => b.input(name, 'float32', [SCORED]);
  const { logprobs, entropy, stop } = scored(b, decoder);
  const tensors: LossTensors = {
    logprobs, entropy,
    samplingLogprobs: vector(TRAINING_INPUTS.samplingLogprobs),
    advantages: vector(TRAINING_INPUTS.advantages),
    sequence: b.input(TRAINING_INPUTS.sequence, 'int64', [SCORED]),
    inverseLengths: b.input(TRAINING_INPUTS.inverseLengths, 'float32', ['rollouts']),
  };
  const stopGradient = (value: Value): Value => { stop.push(value); return value; };
  const term = loss.kind === 'module' ? checked(custom, loss.path) : (lossTerms[loss.kind] as (loss: Loss) => LossFunction)(loss);
  let perToken = term(tensors, { b, stopGradient });
  if (loss.kl !== undefined && loss.kl.coefficient !== 0) {
    const d = b.sub(logprobs, vector(TRAINING_INPUTS.referenceLogprobs));
    perToken = b.add(perToken, b.mul(klTerms[loss.kl.estimator](d, b), loss.kl.coefficient));
  }
  if (loss.entropyBonus !== undefined && loss.entropyBonus !== 0) perToken = b.sub(perToken, b.mul(entropy, loss.entropyBonus));
  b.output('loss', b.sum(b.mul(perToken, vector(TRAINING_INPUTS.weights))));
  b.output('logprobs', logprobs);
  b.output('entropy', entropy);
  try {
    return differentiate(b.build(), { output: 'loss', wrt: parameters, stop: stop.map(({ name }) => name), ...(recompute === 'layers' ? { recompute: DECODER_LAYERS } : {}) });
  } catch (error) {
    if (loss.kind !== 'module' || !(error instanceof OnnxError)) throw error;
    throw new OnnxError(`${loss.path}: the loss has no gradient: ${error.message}`, { cause: error });
  }
}

/** A user's function, with its mistakes named before they become riddles of the graph. */
function checked(custom: LossFunction | undefined, path: string): LossFunction {
  if (custom === undefined) throw new OnnxError('a module loss needs its loaded function');
  return (tensors, context) => {
    let term: Value | undefined;
    try {
      term = custom(tensors, context) as Value | undefined;
    } catch (error) {
      throw new OnnxError(`${path}: the loss cannot be built: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
    const { shape, dataType } = typeof term?.name === 'string' && context.b.has(term.name) ? context.b.value(term.name) : { shape: undefined, dataType: undefined };
    if (term === undefined || shape === undefined) throw new OnnxError(`${path}: the loss returns no value of the graph; return one term per token, as b.mul or another method gives it`);
    if (dataType !== 'float32' || (shape !== null && shape.length !== 1)) {
      throw new OnnxError(`${path}: the loss returns ${dataType} [${(shape ?? []).join(', ')}], expected float32 with one term per token; rlrun adds them up itself`);
    }
    return term;
  };
}
