/** @file The marks that a tokenizer puts around a text, said where libraries look for them when nobody asks. */

type Json = Readonly<Record<string, unknown>>;

/**
 * rlrun encodes a text with the marks of tokenizer.json's post-processor, so a model has learned with them. A plain pipeline of
 * transformers.js puts them only where tokenizer_config.json says `add_bos_token` or `add_eos_token`, which many files leave out.
 */
export function withMarksSaid(companions: Json): Json {
  const [tokenizer, config] = [companions['tokenizer.json'] as Json | undefined, companions['tokenizer_config.json'] as Json | undefined];
  if (tokenizer === undefined || config === undefined) return companions;
  const { before, after } = marksOf(tokenizer['post_processor'] as Json | null | undefined);
  const said = { ...sayMark('bos', before, config), ...sayMark('eos', after, config) };
  return { ...companions, 'tokenizer_config.json': { ...config, ...said } };
}

/** Libraries make the marks anew from these two keys: other marks than the very tokens cannot be said so. */
function sayMark(kind: 'bos' | 'eos', marks: readonly string[], config: Json): Json {
  const own = contentOf(config[`${kind}_token`]);
  if (marks.length !== 1 || (own !== null && own !== marks[0])) return {};
  return { [`add_${kind}_token`]: true, ...(own === null ? { [`${kind}_token`]: marks[0] } : {}) };
}

const contentOf = (token: unknown): string | null => (typeof token === 'string' ? token : typeof token === 'object' && token !== null ? contentOf((token as Json)['content']) : null);

interface Piece {
  SpecialToken?: { id: string };
  Sequence?: unknown;
}

/** Special tokens before and after a single text. */
function marksOf(processor: Json | null | undefined): { before: string[]; after: string[] } {
  if (processor?.['type'] === 'Sequence') {
    const inner = (processor['processors'] as readonly Json[]).map(marksOf);
    return { before: inner.flatMap(({ before }) => before), after: inner.flatMap(({ after }) => after) };
  }
  const pieces = processor?.['type'] === 'TemplateProcessing' ? (processor['single'] as readonly Piece[]) : [];
  const text = pieces.findIndex(({ Sequence }) => Sequence !== undefined);
  const marks = (part: readonly Piece[]): string[] => part.flatMap(({ SpecialToken }) => SpecialToken?.id ?? []);
  return { before: marks(pieces.slice(0, text)), after: marks(pieces.slice(text + 1)) };
}
