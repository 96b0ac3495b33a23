/** @file Conversations of a model without a chat template: what is said to it stands in the text behind its answer, as it is. */
import type { Tokenizer } from '../policy/types.ts';
import type { Agent, Composer } from './types.ts';

export const completionComposer = (agent: Pick<Agent, 'prepare' | 'decode'>, tokenizer: Pick<Tokenizer, 'encode'>): Composer => ({
  open: (task) => agent.prepare({ ...task, answer: null, args: {} }),
  read: (outputTokenIds) => ({ content: agent.decode(outputTokenIds), toolCalls: [] }),
  append: (_tokenIds, messages) => ({ ok: true, ids: tokenizer.encode(messages.map(({ content }) => content).join(''), { addSpecialTokens: false }) }),
});
