export type * from './types.ts';
export { ModelError, type ModelErrorKind } from './errors.ts';
export { openSafetensors, parseSafetensors, readSafetensors, writeSafetensors, type SafetensorsFile, type StoredTensor } from './safetensors.ts';
export { arithmeticCharacters, characterTokenizer, type CharacterTokenizer } from './character-tokenizer.ts';
export { createRandomModel } from './random-model.ts';
