/** A process that commits and promotes until it is killed: `node committer.ts ROOT BUILTINS SLUG`. Prints a line per commit. */
import { openStore } from '../../../src/models/index.ts';
import { draft, writeState } from './tiny.ts';

const [root = '', builtins = '', slug = ''] = process.argv.slice(2);
const model = await openStore({ root, builtins, cwd: root }).model(slug);
await using _ = await model.lock('the committer');
let head = await model.head();
for (;;) {
  const step: number = (head?.step ?? 0) + 1;
  head = await model.commit(draft(step, head?.id ?? null), { promote: true, write: writeState(step) });
  process.stdout.write(`${step}\n`);
}
