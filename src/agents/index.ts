export { type Agent, type AgentOptions, createAgent, preparingOnce, type Prepared } from './agent.ts';
export { leavesAnswerUnopened } from './generation-prompt.ts';
export { type Appended, type ConversationOptions, type ConversationTemplate, conversationTemplate } from './template.ts';
