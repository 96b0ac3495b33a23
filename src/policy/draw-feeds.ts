/** @file What the sampling heads are fed, draft by draft. */
import { f32, i64, type HostTensor, type Session } from '../onnx/index.ts';
import { gumbels, uniformFloat32 } from '../util/random.ts';
import { draftCount, type Branch, type Draft } from './drafts.ts';
import { NOISE_INPUTS, noiseShape } from './exact-draw.ts';
import { SAMPLING_INPUTS } from './sampling-graph.ts';
import type { SampleRequest } from './types.ts';

/** Does top-k or top-p take part? Greedy rows choose the same token with and without them. */
export const isFiltered = ({ temperature, topK, topP }: SampleRequest): boolean => temperature > 0 && (topK > 0 || topP < 1);

/** int64 (N,): where the graph finds the logits of each draft. */
export function perDraft(branches: readonly Pick<Branch, 'drafts'>[], position: (row: number) => number): HostTensor {
  const positions = new BigInt64Array(draftCount(branches));
  let at = 0;
  branches.forEach(({ drafts }, row) => { positions.fill(BigInt(position(row)), at, (at += drafts.length)); });
  return i64(positions, [positions.length]);
}

/** What the session's head asks for; the plain one knows nothing of filters. */
export function drawFeeds(drafts: readonly Draft[], { session, vocabularySize }: { session: Session; vocabularySize: number }): Record<string, HostTensor> {
  const column = (value: (draft: Draft) => number): HostTensor => {
    const values = new Float32Array(drafts.length);
    for (let index = 0; index < values.length; index++) values[index] = value(drafts[index]!);
    return f32(values, [drafts.length, 1]);
  };
  const isExact = session.inputNames.includes(NOISE_INPUTS.token);
  const feeds = {
    [SAMPLING_INPUTS.inverseTemperature]: column(({ request: { temperature } }) => (temperature === 0 ? 1 : 1 / temperature)),
    ...(isExact ? noiseFeeds(drafts, vocabularySize) : { [SAMPLING_INPUTS.uniform]: column((draft) => uniformFloat32(draft.request.key, placeInStream(draft))) }),
  };
  if (!session.inputNames.includes(SAMPLING_INPUTS.candidates)) return { ...feeds, [SAMPLING_INPUTS.greedy]: column(({ request }) => (request.temperature === 0 ? 1 : 0)) };
  const kept = ({ request: { topK } }: Draft): number => (topK === 0 ? vocabularySize : Math.min(topK, vocabularySize));
  // How close the first token was that is left out is a part of the margin.
  const candidates = Math.min(drafts.reduce((most, draft) => Math.max(most, kept(draft)), 1) + (isExact ? 1 : 0), vocabularySize);
  return {
    ...feeds,
    [SAMPLING_INPUTS.topK]: column(kept),
    [SAMPLING_INPUTS.topP]: column(({ request }) => request.topP),
    [SAMPLING_INPUTS.candidates]: i64(BigInt64Array.of(BigInt(candidates)), [1]),
  };
}

/** A draft goes on in its stream where the earlier answers of its rollout ended. */
const placeInStream = ({ request, tokenIds }: Draft): number => (request.drawn ?? 0) + tokenIds.length;

function noiseFeeds(drafts: readonly Draft[], vocabularySize: number): Record<string, HostTensor> {
  const { blocks, width } = noiseShape(vocabularySize), noise = new Float32Array(blocks + width);
  const block = new Float32Array(drafts.length * blocks), token = new Float32Array(drafts.length * width);
  drafts.forEach((draft, row) => {
    gumbels(draft.request.key, placeInStream(draft), noise);
    block.set(noise.subarray(0, blocks), row * blocks);
    token.set(noise.subarray(blocks), row * width);
  });
  return { [NOISE_INPUTS.block]: f32(block, [drafts.length, blocks]), [NOISE_INPUTS.token]: f32(token, [drafts.length, width]) };
}
