/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/**
 * The report in a real browser: of a real job of 60 steps, and of one whose every word is an attack. Runs where Debian's chromium is. Set
 * RLRUN_SCREENSHOTS to a folder to look at the pages.
 */
import { copyFile, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { binary, build, fromHome, workspace } from '../cli/binary.ts';
import { chromiumPath, hasChromium, openBrowser } from './browser.ts';
import { attacks, writeHostileJob } from './hostile.ts';

const screenshots = process.env['RLRUN_SCREENSHOTS'];

describe.skipIf(!hasChromium)(`in a browser (skipped where ${chromiumPath} is not)`, () => {
  let place: Awaited<ReturnType<typeof workspace>>;
  let browser: Awaited<ReturnType<typeof openBrowser>>;
  let report = '';

  beforeAll(async () => {
    build();
    expect(binary).toMatch(/rlrun\.js$/);
    [place, browser] = await Promise.all([workspace(), openBrowser()]);
    await copyFile(fromHome('pipelines/arith.yaml'), join(place.cwd, 'arith.yaml'));
    const sets = ['steps=60', 'batch=8', 'taskset.split.eval=100', 'eval.every=10'].flatMap((set) => ['--set', set]);
    const trained = await place.run('arith.yaml', '--no-tui', ...sets);
    expect(trained).toMatchObject({ exitCode: 0 });
    const written = await place.run('report', 'latest', '--out', 'report.html');
    expect(written).toMatchObject({ exitCode: 0, stdout: 'report.html\n' });
    report = join(place.cwd, 'report.html');
    if (screenshots) await mkdir(screenshots, { recursive: true });
  }, 120_000);

  afterAll(async () => {
    await browser?.[Symbol.asyncDispose]();
    await place?.[Symbol.asyncDispose]();
  });

  test('opens without an error, a message or a request', async () => {
    await using opened = await browser.open({ path: report });
    const { page, noises } = opened;
    await page.locator('footer').scrollIntoViewIfNeeded();
    expect(noises).toEqual([]);
    expect(await page.locator('.verdict').textContent()).toMatch(/^The held-out reward (rose|fell|went|stayed) /);
    for (const id of ['curves', 'reward', 'evaluation', 'stability', 'completions', 'speed', 'rollouts', 'checkpoints', 'settings', 'environment']) expect(await page.locator(`section#${id}`).count(), id).toBe(1);
    expect(await page.locator('.commands pre').allTextContents()).toContainEqual(expect.stringMatching(/^rlrun arith\.yaml .*--set steps=60 .*--from base$/));
    expect(await page.locator('nav a').evaluateAll((links) => links.filter((link) => !document.querySelector((link as HTMLAnchorElement).hash)).length)).toBe(0);
  });

  test('what matters stands in the first screen: verdict, change, time, what is wrong, what to type', async () => {
    await using opened = await browser.open({ path: report });
    for (const what of ['.verdict', '.intervals', '.numbers', '.well, .notices', '.commands']) {
      const box = await opened.page.locator(what).first().boundingBox();
      expect(box!.y + box!.height, what).toBeLessThan(900);
    }
  });

  test('charts are drawn, inside their frames, without a NaN', async () => {
    await using opened = await browser.open({ path: report });
    const charts = await opened.page.locator('svg.plot').evaluateAll((plots) =>
      plots.map((plot) => {
        const { width, height } = (plot as SVGSVGElement).viewBox.baseVal;
        const boxes = [...plot.querySelectorAll<SVGGraphicsElement>('path, rect')].map((shape) => shape.getBBox());
        return { markup: plot.outerHTML.includes('NaN'), paths: plot.querySelectorAll('path.line').length + plot.querySelectorAll('path.stack').length, out: boxes.filter((box) => box.x < -1 || box.y < -1 || box.x + box.width > width + 1 || box.y + box.height > height + 1).length };
      }),
    );
    expect(charts.length).toBeGreaterThan(12);
    for (const chart of charts) {
      expect(chart).toMatchObject({ markup: false, out: 0 });
      expect(chart.paths).toBeGreaterThan(0);
    }
  });

  test('the cross-hair tells the values of the step under the pointer, and gives the last ones back', async () => {
    await using opened = await browser.open({ path: report });
    const { page } = opened;
    const rows = (await readMetrics(place.cwd)).filter((row) => row.kind === 'step');
    const value = page.locator('figure.main output').first();
    const before = await value.textContent();
    const plot = page.locator('figure.main svg.plot.wide');
    await plot.scrollIntoViewIfNeeded();
    const box = (await plot.boundingBox())!;
    const [left, right] = await plot.evaluate((svg) => [Number((svg as SVGElement).dataset['left']), Number((svg as SVGElement).dataset['right'])] as const);
    await page.mouse.move(box.x + ((left + (30 / 60) * (right - left)) / 1080) * box.width, box.y + 50);
    expect(await page.locator('#at').textContent()).toBe('step 30');
    expect(Number(await value.textContent())).toBeCloseTo(rows.find((row) => row.step === 30)!.metrics['reward']!, 1);
    await page.mouse.move(box.x + box.width / 2, box.y - 200);
    expect(await value.textContent()).toBe(before);
    await plot.click({ position: { x: (left / 1080) * box.width + 2, y: 60 } });
    expect(await page.locator('#filter [name=step]').inputValue()).toBe('1');
  });

  test('rollouts are filtered by step, reward, task and text; the filter is cleared', async () => {
    await using opened = await browser.open({ path: report });
    const { page } = opened;
    const shown = () => page.locator('.rollout:not([hidden])').evaluateAll((all) => all.map((one) => ({ ...(one as HTMLElement).dataset })));
    const field = (name: string) => page.locator(`#filter [name=${name}]`);
    const all = (await shown()).length;
    expect(all).toBeGreaterThan(100);
    expect(await page.locator('details.step:not([hidden])').count()).toBe(12);
    await page.locator('#more').click();
    expect(await page.locator('details.step:not([hidden])').count()).toBe(60);

    await field('step').selectOption('30');
    expect(new Set((await shown()).map(({ step }) => step))).toEqual(new Set(['30']));
    expect(await page.locator('details.step:not([hidden])').count()).toBe(1);
    await field('low').fill('0.5');
    const good = await shown();
    expect(good.length).toBeGreaterThan(0);
    expect(good.every(({ reward }) => Number(reward) >= 0.5)).toBe(true);
    await page.locator('#filter button[type=reset]').click();
    await expect.poll(async () => (await shown()).length).toBe(all);

    const task = good[0]!['task']!;
    await field('task').fill(task);
    const ofTask = await shown();
    expect(ofTask.length).toBeGreaterThan(0);
    expect(ofTask.every((rollout) => rollout['task']!.includes(task))).toBe(true);
    await field('task').fill('');
    await field('text').fill('no such words anywhere');
    expect(await shown()).toEqual([]);
    expect(await page.locator('#count').textContent()).toBe(`0 of ${all} match`);
  });

  test('an opened rollout shows its tokens, subscores, advantage and group', async () => {
    await using opened = await browser.open({ path: report });
    const rollout = opened.page.locator('.rollout').first();
    await rollout.locator('summary').click();
    await rollout.locator('.tokens').waitFor();
    const tokens = await rollout.locator('.tokens span').evaluateAll((all) => all.map((token) => ({ text: token.textContent, title: (token as HTMLElement).title })));
    const completion = await rollout.locator('pre.completion').textContent();
    expect(tokens.map(({ text }) => text).join('')).toContain(completion!.trim());
    expect(tokens[0]!.title).toMatch(/^\d[\d.]*% \(log-probability -?\d/);
    expect(await rollout.locator('.mates tbody tr').count()).toBe(8);
    expect(await rollout.locator('.mates tr.own').count()).toBe(1);
    expect(await rollout.locator('.subscores').textContent()).toContain('numeric_match');
    expect(await rollout.locator('.body dl').textContent()).toMatch(/advantage[+−0]/);
  });

  test('reads without JavaScript: everything but the filter', async () => {
    await using opened = await browser.open({ path: report, script: false });
    const { page } = opened;
    expect(await page.locator('#filter').isVisible()).toBe(false);
    expect(await page.locator('details.step').count()).toBe(60);
    expect(await page.locator('details.step').last().isVisible()).toBe(true);
    expect(await page.locator('.rollout .completion').first().textContent()).not.toBe('');
    expect(await page.locator('figure.main path.line').first().getAttribute('d')).toMatch(/^M/);
    expect(await page.locator('table.checkpoints tbody tr').count()).toBeGreaterThan(5);
    expect(await page.locator('button:visible').count()).toBe(0);
  });

  test.each([
    ['light', { path: '' }],
    ['dark', { path: '', dark: true }],
    ['narrow', { path: '', width: 360, height: 740 }],
  ] as const)('fits a %s screen, with words that stand out from their ground', async (name, view) => {
    await using opened = await browser.open({ ...view, path: report });
    const { page } = opened;
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
    const contrasts = await page.evaluate(() => {
      const light = (color: string) => {
        const channels = color.match(/[\d.]+/g)!.slice(0, 3).map((part) => Number(part) / 255).map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * channels[0]! + 0.7152 * channels[1]! + 0.0722 * channels[2]!;
      };
      const ground = light(getComputedStyle(document.documentElement).backgroundColor);
      return ['.verdict', '.detail', '.numbers dt', '.better, .numbers dd', 'output.j0', 'output.held', '.lead', 'figcaption code', 'footer'].map((what) => {
        const ink = light(getComputedStyle(document.querySelector(what)!).color);
        return [what, (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05)] as const;
      });
    });
    for (const [what, contrast] of contrasts) expect(contrast, what).toBeGreaterThanOrEqual(4.5);
    if (screenshots) await page.screenshot({ path: join(screenshots, `${name}.png`) });
  });

  test('prints', async () => {
    await using opened = await browser.open({ path: report });
    const { page } = opened;
    await page.emulateMedia({ media: 'print' });
    for (const what of ['nav', '#filter', 'button.copy']) expect(await page.locator(what).first().isVisible(), what).toBe(false);
    expect((await page.pdf({ format: 'A4' })).subarray(0, 5).toString()).toBe('%PDF-');
    if (screenshots) await page.screenshot({ path: join(screenshots, 'print.png'), fullPage: true });
  });

  describe('jobs over each other', () => {
    const overlay = async (name: string, change: (meta: Record<string, unknown>) => void) => {
      const jobs = join(place.cwd, '.rlrun', 'jobs');
      const first = (await readFile(join(jobs, 'latest'), 'utf8')).trim();
      await cp(join(jobs, first), join(jobs, name), { recursive: true });
      const edit = async (file: string, by: (value: Record<string, unknown>) => void) => {
        // As older versions wrote it: what is written by hand has no checksum.
        const { crc32: _, ...value } = JSON.parse(await readFile(join(jobs, name, file), 'utf8')) as Record<string, unknown>;
        by(value);
        await writeFile(join(jobs, name, file), JSON.stringify(value));
      };
      await edit('meta.json', (meta) => {
        Object.assign(meta, { id: name, seed: 8 });
        change(meta);
      });
      await edit('resolved.json', (pipeline) => void Object.assign(pipeline, { seed: 8 }));
      const metrics = await readFile(join(jobs, name, 'metrics.jsonl'), 'utf8');
      await writeFile(join(jobs, name, 'metrics.jsonl'), metrics.replaceAll(/,"crc32":"\w+"/g, '').replaceAll(/"reward":([\d.]+)/g, (_, reward: string) => `"reward":${Number(reward) / 2}`));
      const path = join(place.cwd, `${name}.html`);
      expect(await place.run('report', first, name, '--out', path)).toMatchObject({ exitCode: 0 });
      return path;
    };

    test('seeds of one pipeline: a curve each, their mean over the area between them, a row each', async () => {
      await using opened = await browser.open({ path: await overlay('second-seed', () => {}) });
      const { page, noises } = opened;
      const main = page.locator('figure.main svg.wide');
      expect(await main.locator('path.line.seed').count()).toBe(2);
      expect(await main.locator('path.line.mean').count()).toBe(1);
      expect(await main.locator('path.band.mean').getAttribute('d')).toMatch(/^M.*Z$/);
      expect(await page.locator('.verdict').textContent()).toMatch(/^Held-out reward from \S+ to \S+ ± \S+ over 2 seeds\.$/);
      expect(await page.locator('table.jobs tbody tr').count()).toBe(2);
      expect(await page.locator('#settings .changes').first().textContent()).toMatch(/seed78$/);
      await page.locator('#filter [name=job]').selectOption('1');
      expect(await page.locator('.rollout:not([hidden])').evaluateAll((all) => [...new Set(all.map((one) => (one as HTMLElement).dataset['job']))])).toEqual(['1']);
      expect(noises).toEqual([]);
      if (screenshots) await page.screenshot({ path: join(screenshots, 'seeds.png') });
    });

    test('another reward: no mean, no winner, and words that say so', async () => {
      const path = await overlay('other-reward', (meta) => void ((meta['hashes'] as Record<string, string>)['reward'] = 'f'.repeat(64)));
      await using opened = await browser.open({ path });
      const { page } = opened;
      expect(await page.locator('.verdict').textContent()).toBe('2 jobs that do not measure the same thing.');
      expect(await page.locator('.notices').textContent()).toContain('These jobs have different rewards: their curves do not measure the same thing.');
      expect(await page.locator('.mean').count()).toBe(0);
      expect(await page.locator('figure.main svg.wide path.line').count()).toBe(2);
    });
  });

  describe('a job whose every word is an attack', () => {
    let hostile = '';

    beforeAll(async () => {
      await writeHostileJob(place.cwd);
      expect(await place.run('report', 'hostile', '--out', 'hostile.html')).toMatchObject({ exitCode: 0 });
      hostile = join(place.cwd, 'hostile.html');
    });

    // Once as it is, and once without its content policy: escaping has to hold alone.
    test.each(['as it is', 'without its content policy'])('runs nothing, breaks nothing and hides nothing, %s', async (how) => {
      const path = how === 'as it is' ? hostile : join(place.cwd, 'bare.html');
      if (path !== hostile) {
        const page = await readFile(hostile, 'utf8');
        const bare = page.replace(/<meta http-equiv="Content-Security-Policy"[^>]*>/, '');
        expect(bare.length).toBeLessThan(page.length);
        await writeFile(path, bare);
      }
      await using opened = await browser.open({ path });
      const { page, noises } = opened;
      for (const summary of await page.locator('summary:visible').all()) if (await summary.isVisible()) await summary.click();
      await page.locator('#filter [name=text]').fill('<img');
      expect(await page.locator('.rollout:not([hidden])').count()).toBeGreaterThan(0);
      expect(await page.evaluate(() => 'hacked' in globalThis)).toBe(false);
      expect(noises).toEqual([]);
      expect(await page.evaluate(() => ['script', 'img', 'iframe', 'b.evil', 'a[href^="javascript"]', '[onerror]', '[onload]', '[onmouseover]', 'style'].map((what) => document.querySelectorAll(what).length))).toEqual([2, 0, 0, 0, 0, 0, 0, 0, 1]);
      const words = (await page.locator('body').evaluate((body) => body.textContent)) ?? '';
      for (const attack of attacks) expect(words).toContain(attack);
      expect(await page.locator('footer').count()).toBe(1);
    });
  });
});

const readMetrics = async (cwd: string): Promise<{ step: number; kind: string; metrics: Record<string, number> }[]> => {
  const id = (await readFile(join(cwd, '.rlrun', 'jobs', 'latest'), 'utf8')).trim();
  const text = await readFile(join(cwd, '.rlrun', 'jobs', id, 'metrics.jsonl'), 'utf8');
  return text.trim().split('\n').map((line) => JSON.parse(line) as never);
};
