export { type Agent, type AgentOptions, createAgent, preparingOnce, type Prepared } from './agent.ts';
export type { Composer, ReadAnswer } from './composer.ts';
export { type ConversationEnd, type ConversationParts, converse } from './conversation.ts';
export { leavesAnswerUnopened } from './generation-prompt.ts';
export { type Appended, type ConversationOptions, type ConversationTemplate, conversationTemplate } from './template.ts';
