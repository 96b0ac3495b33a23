/** Every pipeline that ships is what it says: valid, with enough tasks, and rewards that tell right from wrong. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { build, fromHome, workspace } from '../cli/binary.ts';

beforeAll(() => build(), 180_000);

const files = readdirSync(fromHome('pipelines')).filter((name) => name.endsWith('.yaml'));

test.each(files)('rlrun check pipelines/%s', async (name) => {
  await using folder = await workspace();
  const { stderr, exitCode } = await folder.run('check', join(fromHome('pipelines'), name));
  expect(stderr).not.toContain('warning');
  expect(stderr).toMatch(/ is valid: /);
  expect(exitCode).toBe(0);
});
