/** Variables that rlrun reads for itself: what they open is no business of a reward that somebody downloaded. */
const OWN_SECRETS = ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN', 'HUGGINGFACE_TOKEN'] as const;

/** The environment of this process as user code gets it; `passed` names secrets that it is to have all the same. */
export function userEnvironment(passed: readonly string[] = []): NodeJS.ProcessEnv {
  const environment = { ...process.env };
  for (const name of OWN_SECRETS) if (!passed.includes(name)) delete environment[name];
  return environment;
}
