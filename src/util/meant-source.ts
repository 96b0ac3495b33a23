/** @file Where a model is to come from, written as elsewhere: what it is called here. */

const name = String.raw`[A-Za-z0-9][\w.-]*`;
const address = new RegExp(String.raw`^(?:hub:|hf:|huggingface:)?(?:(?:https?:)?//)?(?:www\.)?(?:huggingface\.co|hf\.co)/(?:models/)?(${name})/(${name})(?:/(?:tree|blob|resolve)/([^/\s?#]+))?(?:[/?#].*)?$`);
const repository = new RegExp(String.raw`^(?:hub://?|hf://?|hf:|huggingface:|models:)?(${name})/(${name})(?:[@:]([^@:\s]+))?/?$`);

/** `org/name`, an address in a browser, `hf:org/name` → `hub:org/name`; a path without its beginning → `./path`. Null when it is none of these. */
export function meantSource(text: string): string | null {
  const [, organization, model, revision] = address.exec(text) ?? repository.exec(text) ?? [];
  if (organization !== undefined) return `hub:${organization}/${model}${revision === undefined || revision === 'main' ? '' : `@${revision}`}`;
  return /^[^:\s@~/\\][^:\s]*[/\\][^:\s]*$/.test(text) ? `./${text.replaceAll('\\', '/')}` : null;
}
