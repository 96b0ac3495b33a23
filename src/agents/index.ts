export { type Agent, type AgentOptions, createAgent, preparingOnce, type Prepared } from './agent.ts';
export { leavesAnswerUnopened } from './generation-prompt.ts';
