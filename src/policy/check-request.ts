import type { EngineInfo, SampleRequest } from './types.ts';

/** @throws RangeError naming the request, where ONNX Runtime would only speak of indices. */
export function checkRequest({ id, promptTokenIds, maxTokens, temperature, topP, topK }: SampleRequest, { contextLength, vocabularySize }: Pick<EngineInfo, 'contextLength' | 'vocabularySize'>): void {
  const refuse = (what: string): never => { throw new RangeError(`cannot sample request "${id}": ${what}`); };
  if (promptTokenIds.length === 0) refuse('its prompt has no tokens; a model needs at least one to start from');
  if (promptTokenIds.length >= contextLength) refuse(`its prompt has ${promptTokenIds.length} tokens, and the model's context of ${contextLength} leaves no room for an answer; shorten the prompt`);
  const stranger = promptTokenIds.find((token) => !Number.isInteger(token) || token < 0 || token >= vocabularySize);
  if (stranger !== undefined) refuse(`token ${stranger} is not in the vocabulary of ${vocabularySize}; does the tokenizer belong to this model?`);
  if (!Number.isInteger(maxTokens) || maxTokens < 1) refuse(`maxTokens is ${maxTokens}, expected a whole number from 1`);
  if (!(temperature >= 0 && temperature < Infinity)) refuse(`temperature is ${temperature}, expected a number from 0`);
  if (!(topP > 0 && topP <= 1)) refuse(`topP is ${topP}, expected a number above 0 and up to 1`);
  if (!Number.isInteger(topK) || topK < 0) refuse(`topK is ${topK}, expected a whole number from 0`);
}
