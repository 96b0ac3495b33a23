export { parseDecoderConfig, supportedModelTypes, type DecoderConfig, type ModelType, type RopeScaling } from './config.ts';
export { buildDecoder, decoderParameters, transposedMetadataKey, type Parameter } from './decoder.ts';
export { decoderSize, requireMemory } from './size.ts';
