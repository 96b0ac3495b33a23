/** @file What `runtime:` says fits its kind. */
import type { Runtime } from '../pipeline-file.generated.ts';
import { runtimeKeys } from '../runtime-keys.ts';
import type { StageContext, StageRule } from './context.ts';

export const runtimeRules: readonly StageRule[] = [
  function programIsStarted({ node, isWritten, report }) {
    if (kindOf(node) === 'local' && isWritten(['runtime', 'command'])) {
      report('no-effect', '"runtime.command" is not started with kind: local', [['runtime', 'command'], ['runtime', 'kind']], { fix: 'use kind: subprocess' });
    }
  },

  function kindHasItsKeysAndNoOthers({ node, isWritten, report }) {
    const kind = kindOf(node);
    for (const [key, { of, needed = {} }] of Object.entries(runtimeKeys)) {
      const isThere = isWritten(['runtime', key]);
      if (needed[kind] !== undefined && !isThere) report('missing-key', `"runtime" needs "${key}" with kind: ${kind}`, [['runtime', 'kind']], { fix: `for example ${key}: ${needed[kind]}` });
      // Of a program that is not started the rule above knows more.
      if (!isThere || of.includes(kind) || (kind === 'local' && key === 'command')) continue;
      report('unknown-key', `"runtime.${key}" means nothing with kind: ${kind}`, [['runtime', key], ['runtime', 'kind']], { fix: `it belongs to kind: ${of.join(' and kind: ')}` });
    }
  },

  function addressIsOfItsKind({ stage: { runtime: { home } }, report }) {
    if (home?.kind !== 'tcp' && home?.kind !== 'gym') return;
    const [scheme, wanted] = home.kind === 'tcp' ? ['tcp://', 'tcp://'] : ['http', 'http:// or https://'];
    if (home.url !== '' && !home.url.startsWith(scheme)) report('wrong-form', `"runtime.url" must begin with ${wanted} with kind: ${home.kind}, but this is "${home.url}"`, [['runtime', 'url'], ['runtime', 'kind']]);
  },
];

function kindOf(node: StageContext['node']): NonNullable<Runtime['kind']> {
  const kind = node(['runtime', 'kind']);
  return (kind?.type === 'scalar' ? kind.value : 'local') as NonNullable<Runtime['kind']>;
}
