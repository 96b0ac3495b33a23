export { createAgent, preparingOnce } from './agent.ts';
export { type ConversationEnd, type ConversationParts, converse } from './conversation.ts';
export { leavesAnswerUnopened } from './generation-prompt.ts';
export { type Appended, type ConversationOptions, type ConversationTemplate, conversationTemplate } from './template.ts';
export type { Agent, AgentOptions, Composer, Prepared, ReadAnswer } from './types.ts';
