/** Takes a lock: `node holder.ts LOCK [TURNS]`. Without turns it keeps it, and says on SIGUSR2 whether it still has it. */
import { rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { takeLock } from '../../../src/util/file-lock.ts';

const [path = '', turns] = process.argv.slice(2);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function take() {
  for (;;) {
    const taken = await takeLock(path);
    if ('lock' in taken) return taken.lock;
    await sleep(1);
  }
}

if (turns === undefined) {
  const lock = await take();
  process.on('SIGUSR2', async () => say((await lock.isHeld()) ? 'held' : 'lost'));
  say('taken');
  setInterval(() => {}, 1000);
}
for (let turn = 0; turn < Number(turns ?? 0); turn++) {
  await using _ = await take();
  // Of two at once, one would find the other's file.
  await writeFile(`${path}.alone`, '', { flag: 'wx' });
  await sleep(2);
  await rm(`${path}.alone`);
  say('alone');
}
