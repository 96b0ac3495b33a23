import { pathToFileURL } from 'node:url';

/** A user's module by its absolute path: its exports. What a compiler wrote for CommonJS has them one level down, and says so. */
export async function importUserModule(path: string): Promise<Record<string, unknown>> {
  const module = (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  const exported = module['default'] as { __esModule?: unknown } | null | undefined;
  return exported?.__esModule === true ? (exported as Record<string, unknown>) : module;
}
