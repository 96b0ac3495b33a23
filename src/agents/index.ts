export { type Agent, type AgentOptions, createAgent, type Prepared } from './agent.ts';
