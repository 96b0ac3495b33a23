import { expect, test } from 'vitest';
import { downloadTeller } from '../../src/cli/store.ts';

test('a download is told with its speed over the last moments and the time that is left; what was at hand does not count', () => {
  const lines: string[] = [];
  let time = 0;
  const tell = downloadTeller((text) => lines.push(text), () => time);
  const report = (ms: number, bytes: number, receivedBytes: number, file = 'model.safetensors'): void => {
    time = ms;
    tell({ repository: 'org/name', file, bytes, totalBytes: 500e6, receivedBytes });
  };
  report(0, 300e6, 0, 'config.json');
  report(500, 310e6, 10e6);
  report(1000, 320e6, 20e6);
  report(3000, 340e6, 40e6);
  report(60_000, 345e6, 45e6);
  report(62_000, 365e6, 65e6);
  report(64_000, 500e6, 200e6);
  expect(lines).toEqual([
    'downloading hub:org/name: 300 MB of 500 MB, config.json',
    'downloading hub:org/name: 310 MB of 500 MB, model.safetensors',
    'downloading hub:org/name: 340 MB of 500 MB, 13 MB/s, 12.0s left, model.safetensors',
    'downloading hub:org/name: 345 MB of 500 MB, 88 kB/s, 29m 26s left, model.safetensors',
    'downloading hub:org/name: 365 MB of 500 MB, 10 MB/s, 13.5s left, model.safetensors',
    'downloading hub:org/name: 500 MB of 500 MB, model.safetensors',
  ]);
});
