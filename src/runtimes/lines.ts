/** Cuts a byte stream into lines. A line longer than `maxBytes` is reported once and then ignored up to its end. */
export function lineReader({ onLine, maxBytes = Infinity, onTooLong }: { onLine: (line: string) => void; maxBytes?: number; onTooLong?: () => void }): (chunk: Buffer) => void {
  let parts: Buffer[] = [];
  let length = 0;
  const take = (part: Buffer): void => {
    const already = length > maxBytes;
    length += part.length;
    if (length <= maxBytes) parts.push(part);
    else if (!already) {
      parts = [];
      onTooLong?.();
    }
  };
  return (chunk) => {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      take(chunk.subarray(start, end));
      if (length <= maxBytes) onLine(Buffer.concat(parts).toString('utf8'));
      parts = [];
      length = 0;
      start = end + 1;
    }
    if (start < chunk.length) take(chunk.subarray(start));
  };
}
