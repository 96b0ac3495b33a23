/** JSON as Python writes it: `NaN` and `Infinity` stand there bare. They become null, which no reader takes for a number. */
export function parseLenient(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // Texts are matched first, so that nothing inside them is touched.
    return JSON.parse(text.replace(/"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g, (token) => (token.startsWith('"') ? token : 'null'))) as unknown;
  }
}
