import { hash } from 'node:crypto';

const LONGEST = 64;

/** A name that a model can call, as HUD's own agents make it: `calc.eval` is `calc_eval_` and 8 hex digits of the SHA-256 of its name. */
export function callableName(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9_-]+/g, '_').replace(/^_+|_+$/g, '') || 'tool';
  if (plain === name && plain.length <= LONGEST) return plain;
  const digest = hash('sha256', name, 'hex').slice(0, 8);
  return `${plain.slice(0, LONGEST - digest.length - 1).replace(/_+$/, '') || 'tool'}_${digest}`;
}
