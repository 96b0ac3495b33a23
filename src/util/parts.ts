/** `parts` runs of a list, in order and as equal as they go; empty ones where there are more of them than items. */
export const equalParts = <T>(items: readonly T[], parts: number): T[][] =>
  Array.from({ length: parts }, (_, part) => items.slice(Math.floor((part * items.length) / parts), Math.floor(((part + 1) * items.length) / parts)));
