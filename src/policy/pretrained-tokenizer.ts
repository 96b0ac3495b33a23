/**
 * @file A tokenizer as transformers.js has it, made of the same two libraries and called by the same names. The whole of transformers.js would
 * bring a second engine, image codecs and an install script that downloads CUDA into every project that installs rlrun.
 */
import { Template } from '@huggingface/jinja';
import { Tokenizer } from '@huggingface/tokenizers';

type Config = Readonly<Record<string, unknown>>;

/** Special tokens that a template may name. */
const named = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token'] as const;

export interface TemplateOptions {
  /** The text of a template, or the name of one where there are several; the tokenizer's own by default. */
  chat_template?: string | null;
  /** Everything else is there for the template to read. */
  [argument: string]: unknown;
}

export class PretrainedTokenizer {
  /** One template, or several by name. */
  readonly chat_template: string | Readonly<Record<string, string>> | null;
  private readonly tokenizer: Tokenizer;
  private readonly specialTokens: Readonly<Record<string, string>>;
  private readonly compiled = new Map<string, Template>();

  /** `tokenizer.json` and `tokenizer_config.json`. */
  constructor(tokenizer: Config, config: Config) {
    this.tokenizer = new Tokenizer(tokenizer, config);
    this.specialTokens = Object.fromEntries(named.flatMap((name) => ((text) => (text === null ? [] : [[name, text]]))(contentOf(config[name]))));
    this.chat_template = templatesOf(config['chat_template']);
  }

  get bos_token_id(): number | undefined {
    return this.idOf('bos_token');
  }

  get eos_token_id(): number | undefined {
    return this.idOf('eos_token');
  }

  get unk_token_id(): number | undefined {
    return this.idOf('unk_token');
  }

  get pad_token_id(): number | undefined {
    return this.idOf('pad_token') ?? this.eos_token_id;
  }

  encode(text: string, options: { add_special_tokens: boolean }): number[] {
    return this.tokenizer.encode(text, options).ids;
  }

  decode(ids: number[], options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean }): string {
    return this.tokenizer.decode(ids, options);
  }

  /** The text of a conversation. Throws what the template raises. */
  apply_chat_template(messages: readonly object[], { chat_template = null, ...rest }: TemplateOptions = {}): string {
    const source = this.templateNamed(chat_template);
    let template = this.compiled.get(source);
    if (!template) this.compiled.set(source, (template = new Template(source)));
    return template.render({ messages, tools: null, documents: null, ...this.specialTokens, ...rest });
  }

  private templateNamed(given: string | null): string {
    if (this.chat_template === null || typeof this.chat_template === 'string') {
      const template = given ?? this.chat_template;
      if (template === null) throw new Error('the tokenizer has no chat template');
      return template;
    }
    const names = Object.keys(this.chat_template);
    if (given !== null) return this.chat_template[given] ?? given;
    if (this.chat_template['default'] === undefined) throw new Error(`the tokenizer has several chat templates (${names.sort().join(', ')}), and none is the default`);
    return this.chat_template['default'];
  }

  private idOf(name: (typeof named)[number]): number | undefined {
    const text = this.specialTokens[name];
    return text === undefined ? undefined : this.tokenizer.token_to_id(text);
  }
}

/** A token is written as its text, or as `{ __type: 'AddedToken', content }`. */
function contentOf(token: unknown): string | null {
  const text = typeof token === 'object' ? (token as { content?: unknown } | null)?.content : token;
  return typeof text === 'string' && text !== '' ? text : null;
}

/** Several templates are written as a list of `{ name, template }`. */
function templatesOf(written: unknown): PretrainedTokenizer['chat_template'] {
  if (!Array.isArray(written)) return typeof written === 'string' ? written : null;
  return Object.fromEntries((written as { name: string; template: string }[]).map(({ name, template }) => [name, template]));
}
