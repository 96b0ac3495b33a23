/** Words for people and for shells, put alike on screens, in logs, messages and pages. */

/** `1 step`, `2 steps`, `1,024 steps`. */
export const count = (value: number, noun: string): string => `${value.toLocaleString('en-US')} ${noun}${value === 1 ? '' : 's'}`;

/** A score to three decimals, a dash for none. What rounds to nothing has no sign. */
export const formatScore = (value: number | null | undefined): string => (value == null || Number.isNaN(value) ? '–' : value.toFixed(3).replace(/^-(?=0\.000$)/, ''));

/** `a, b, c and 12 more` */
export const listed = (names: readonly string[], most = 10): string => (names.length <= most ? names.join(', ') : `${names.slice(0, most).join(', ')} and ${names.length - most} more`);

/** The call of a tool: `search {"text":"cats"}` */
export const callText = (call: { name: string; arguments: unknown }): string => `${call.name} ${JSON.stringify(call.arguments)}`;

/** As a shell reads it. */
export const quoted = (word: string): string => (/^[\w./:=@,+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);
