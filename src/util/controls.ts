/** @file Characters that do something to a terminal instead of being seen: controls (C0 and C1), marks that turn the direction of a text, line separators. */

const controls = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/** A text that can move no cursor and turn no direction. Character by character: what is left of an escape sequence is plain text. */
export const withoutControls = (text: string, { keep = '' }: { keep?: string } = {}): string => text.replace(controls, (character) => (keep.includes(character) ? character : ''));
