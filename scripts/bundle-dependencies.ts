/**
 * @file Run by `npm pack` and `npm publish`: the package carries what it runs on, in the versions that were tested. Installed by themselves, its
 * dependencies would bring the install script of onnxruntime-node, which downloads CUDA to every Linux machine and fails the installation where it
 * cannot, and npm up to 11 runs such scripts unless the user's own project refuses them. It is no setting of the repository's package.json because
 * npm would run the scripts of bundled packages here, whatever `allowScripts` says.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

type Manifest = Record<string, unknown> & { dependencies?: Record<string, string> };

const [manifestFile, kept] = ['package.json', 'package.json.kept'];

// Also after a pack that was interrupted.
if (existsSync(kept)) renameSync(kept, manifestFile);
if (!process.argv.includes('--undo')) {
  const { packages } = read('package-lock.json') as { packages?: Record<string, { dev?: boolean }> };
  for (const [folder, { dev }] of Object.entries(packages ?? {})) if (folder !== '' && !dev) withoutDemands(`${folder}/package.json`);
  renameSync(manifestFile, kept);
  const { scripts: _scripts, devDependencies: _devDependencies, allowScripts: _allowScripts, ...manifest } = read(kept);
  write(manifestFile, { ...manifest, bundleDependencies: Object.keys(manifest.dependencies ?? {}) });
}

/** Nothing to run when it is installed, and no Node to ask for: rlrun asks for the newest that any of them needs, so npm warns of an old one once. */
function withoutDemands(file: string): void {
  const { scripts: _scripts, engines: _engines, ...rest } = read(file);
  // In a new file: the one that is there may be shared with other folders by a hard link.
  write(`${file}.new`, rest);
  renameSync(`${file}.new`, file);
}

function read(file: string): Manifest {
  return JSON.parse(readFileSync(file, 'utf8')) as Manifest;
}

function write(file: string, content: Manifest): void {
  writeFileSync(file, `${JSON.stringify(content, null, 2)}\n`);
}
