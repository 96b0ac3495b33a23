/**
 * @file What the patterns of Oniguruma say and JavaScript's cannot, said in another way. The library translates classes, escapes and anchors; it
 * does not know options that stand alone, and forgets that possessive quantifiers and atomic groups give nothing back.
 */

/** `(?i)`, which counts to the end of the group that it stands in, and others of its kind. */
const LONE_OPTIONS = /^\(\?([a-zA-Z]*(?:-[a-zA-Z]+)?)\)/;
/** Options of a group, `(?i:…)` apart. */
const GROUP_OPTIONS = /^\(\?(?!i:)([a-zA-Z]*-?[a-zA-Z]+):/;
const ESCAPE = /^\\(?:[pPxu]\{[^}]*\}|k<[^>]*>|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[^])/u;

/** How the names of groups that are ours begin: without letters, which the library would take for a part of the text. */
export const HELD = '<_0_';

/** A group that is open, by where it began in the translation. */
interface Group {
  start: number;
  isAtomic: boolean;
  /** Groups that were opened inside of it for the sake of an option. */
  lent: number;
}

/** @throws SyntaxError for options that JavaScript does not have. */
export function translatePattern(pattern: string): string {
  let result = '', atom = 0, names = 0, inClass = 0;
  const hasNumbers = /\\[1-9]/.test(pattern);
  const open: Group[] = [{ start: 0, isAtomic: false, lent: 0 }];
  /** `(?>x)` and `x++`: looked ahead for, and then taken as it was found. */
  const holdFast = (start: number, what: string): void => {
    names += 1;
    result = `${result.slice(0, start)}(?=(?${HELD}${names}>${what}))\\k${HELD}${names}>`;
  };
  for (let at = 0; at < pattern.length; ) {
    const rest = pattern.slice(at);
    const taken = (text: string): number => (at += text.length);
    const escape = ESCAPE.exec(rest)?.[0];
    if (escape !== undefined || inClass > 0) {
      const text = escape ?? rest[0]!;
      if (inClass === 0) atom = result.length;
      else if (text === '[') inClass += 1;
      else if (text === ']' && !/\[\^?$/.test(result)) inClass -= 1;
      result += text;
      taken(text);
      continue;
    }
    const [lone, grouped] = [LONE_OPTIONS.exec(rest), GROUP_OPTIONS.exec(rest)];
    if (grouped || (lone && lone[1] !== 'i')) throw new SyntaxError(`the option (?${(grouped ?? lone)![1]}) is not known here`);
    if (lone) {
      open.at(-1)!.lent += 1;
      result += '(?i:';
      taken(lone[0]);
      continue;
    }
    const possessive = /^[*+?]\+/.exec(rest)?.[0];
    if (possessive !== undefined && result.length > atom) {
      holdFast(atom, result.slice(atom) + possessive[0]);
      taken(possessive);
      continue;
    }
    const quantifier = /^(?:[*+?]|\{\d*,?\d*\})\??/.exec(rest)?.[0];
    if (quantifier !== undefined) {
      result += quantifier;
      taken(quantifier);
      continue;
    }
    const letter = String.fromCodePoint(rest.codePointAt(0)!);
    if (letter === '(') {
      const isAtomic = rest.startsWith('(?>');
      open.push({ start: result.length, isAtomic, lent: 0 });
      // What a group captured would come out of the library as a piece of the text.
      result += isAtomic || (rest[1] !== '?' && !hasNumbers) ? '(?:' : '(';
      taken(isAtomic ? '(?>' : '(');
      continue;
    }
    if (letter === ')' && open.length > 1) {
      const { start, isAtomic, lent } = open.pop()!;
      result += ')'.repeat(lent + 1);
      if (isAtomic) holdFast(start, result.slice(start));
      atom = start;
    } else {
      atom = result.length;
      if (letter === '[') inClass = 1;
      result += letter;
    }
    taken(letter);
  }
  if (names > 0 && hasNumbers) throw new SyntaxError('a possessive quantifier or an atomic group beside a numbered reference is not known here');
  return result + ')'.repeat(open[0]!.lent);
}
