/**
 * Text with one code point for each sign that keyboards and models write in several ways: composed letters, ASCII for full-width forms, `-`
 * for the minus sign and the short dashes, straight quotes, plain spaces. No sign goes away and none becomes another one, so superscripts,
 * fractions and ligatures stay as they are (NFKC would make x2 of x²). What cannot be seen is dropped.
 */
export function plainCharacters(text: string): string {
  return text
    .normalize('NFC')
    .replace(/[\uff01-\uff5e]/g, (wide) => String.fromCharCode(wide.charCodeAt(0) - 0xfee0))
    .replace(/[\u2010-\u2013\u2212\ufe63]/g, '-')
    .replace(/[\u2018\u2019]/g, "'")
    .replace(/[\u201c\u201d]/g, '"')
    .replace(/[\u00ad\u200b\u2060\ufeff]/g, '')
    .replace(/[^\S\n\u00a0\u202f]/g, ' ');
}
