/** What a rule or the loop says, as a sentence that stands beside others. */
export const asSentence = (text: string): string => text.replace(/^./u, (first) => first.toUpperCase()).replace(/[.!?…]?$/, (end) => end || '.');
