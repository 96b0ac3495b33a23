export { loadPipeline, type LoadOptions, type LoadResult } from './load.ts';
export { diagnosticCodes, formatDiagnostic, formatDiagnostics, type Diagnostic, type DiagnosticCode, type PrintOptions, type Severity, type Style } from './diagnostics.ts';
export { describeLocation, positionOf, type Location, type Position, type Source } from './source.ts';
export type { FileSystem } from './files.ts';
export type { ResolvedDocument } from './resolve.ts';
export { lossPresets, type Preset } from './loss-presets.ts';
export type * from './types.ts';
export { diffPipelines, hashPipeline } from './compare.ts';
export { describeOrigin, printResolved } from './resolved.ts';
