/**
 * The file of a worker beside the module that starts it: `brevity.worker` is `brevity.worker.ts` while the sources run under
 * Node's type stripping, and `brevity.worker.js` once they are compiled. Call it with `import.meta.url`.
 */
export function workerUrl(name: string, startedBy: string): URL {
  const extension = /\.[cm]?[jt]s(?=$|[?#])/.exec(startedBy)?.[0] ?? '.js';
  return new URL(`./${name}${extension}`, startedBy);
}
