/** @file How large a decoder is, by arithmetic alone: a shape that no memory holds has to be refused before anything is made of it. */
import { totalmem } from 'node:os';
import { ModelError } from '../errors.ts';

type Shape = Record<'hiddenSize' | 'intermediateSize' | 'vocabularySize' | 'layers' | 'heads' | 'keyValueHeads' | 'headSize' | 'contextLength', number> & { tiedEmbeddings: boolean };

/** Biases and norms are left out: matrices decide. */
export function decoderSize({ hiddenSize, intermediateSize, vocabularySize, layers, heads, keyValueHeads, headSize, tiedEmbeddings, contextLength }: Shape): { weights: number; tables: number } {
  const attention = 2 * hiddenSize * headSize * (heads + keyValueHeads);
  const words = vocabularySize * hiddenSize * (tiedEmbeddings ? 1 : 2);
  return { weights: words + layers * (attention + 3 * hiddenSize * intermediateSize), tables: contextLength * headSize };
}

/** Of this machine, or of the container that it is. */
const memoryHere = (): number => Math.min(totalmem(), process.constrainedMemory() || Infinity);

const bytesPerFloat = 4;
const gigabytes = (bytes: number): string => `${(bytes / 1e9).toLocaleString('en-US', { maximumFractionDigits: 1 })} GB`;

/** Throws when `floats` numbers cannot be in memory here. `what` says what they are and which settings make them so many. */
export function requireMemory(floats: number, what: string, { where, memory = memoryHere() }: { where: string; memory?: number }): void {
  const bytes = floats * bytesPerFloat;
  if (bytes <= memory) return;
  throw new ModelError('invalid', `${where}: ${what} take ${gigabytes(bytes)}; this machine has ${gigabytes(memory)} of memory`, { fix: 'Choose a smaller shape.' });
}
