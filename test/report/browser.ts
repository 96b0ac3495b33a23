/** A real browser that notes everything a page does. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Page, chromium } from 'playwright-core';

/** Set RLRUN_CHROMIUM to another place. */
export const chromiumPath = process.env['RLRUN_CHROMIUM'] ?? '/usr/bin/chromium';
export const hasChromium = existsSync(chromiumPath);

const quiet = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export interface View {
  /** A file. */
  path: string;
  width?: number;
  height?: number;
  dark?: boolean;
  script?: boolean;
}

export interface Opened extends AsyncDisposable {
  page: Page;
  /** Console messages, errors, dialogs and requests beyond the file itself: a good page has none. */
  noises: string[];
}

export async function openBrowser() {
  const profile = await mkdtemp(join(tmpdir(), 'rlrun-browser-'));
  const browser = await chromium.launch({ executablePath: chromiumPath, args: quiet, timeout: 50_000, env: { ...process.env, HOME: profile } });
  return {
    async open({ path, width = 1280, height = 900, dark = false, script = true }: View): Promise<Opened> {
      const context = await browser.newContext({ viewport: { width, height }, colorScheme: dark ? 'dark' : 'light', javaScriptEnabled: script });
      const page = await context.newPage();
      const noises: string[] = [];
      const url = pathToFileURL(path).href;
      page.on('console', (message) => noises.push(`console.${message.type()}: ${message.text()}`));
      page.on('pageerror', (error) => noises.push(`error: ${error.message}`));
      page.on('dialog', (dialog) => void (noises.push(`dialog: ${dialog.message()}`), dialog.dismiss()));
      page.on('request', (request) => void (request.url() === url || request.url() === 'data:,' || noises.push(`request: ${request.url()}`)));
      await page.goto(url);
      return { page, noises, [Symbol.asyncDispose]: () => context.close() };
    },
    async [Symbol.asyncDispose]() {
      await browser.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}
