/** What a tool gave, as the text that the model reads. Nothing is no result, bytes are not text. */
export function asText(given: unknown): string {
  if (typeof given === 'string') return given;
  if (given === undefined || given === null) return '';
  if (ArrayBuffer.isView(given) || given instanceof ArrayBuffer) return `[${given.byteLength} bytes that are no text]`;
  return JSON.stringify(given, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value)) ?? String(given);
}
