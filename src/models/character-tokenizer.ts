/** @file A tokenizer whose words are single characters, in the file formats of Hugging Face. */

/** Files of a model directory that make its tokenizer, by name. */
export interface TokenizerFiles {
  'tokenizer.json': unknown;
  'tokenizer_config.json': unknown;
}

export interface CharacterTokenizer {
  files: TokenizerFiles;
  vocabularySize: number;
  padTokenId: number;
  bosTokenId: number;
  eosTokenId: number;
}

const specials = ['<pad>', '<bos>', '<eos>', '<unk>'] as const;

/** What arithmetic and short English need: digits, signs, lower-case letters, space and newline. */
export const arithmeticCharacters = '0123456789+-*/=(),.:;?!<>%^ abcdefghijklmnopqrstuvwxyz\n';

/**
 * One token per character, ids in the order given, after `<pad> <bos> <eos> <unk>`. `<bos>` is put before a text that is
 * encoded with special tokens. Byte-pair encoding without merges is what both tokenizer libraries read as characters.
 */
export function characterTokenizer({ characters, contextLength }: { characters: string; contextLength: number }): CharacterTokenizer {
  const tokens = [...specials, ...characters];
  if (new Set(tokens).size !== tokens.length) throw new RangeError('a character is listed twice');
  const [padTokenId, bosTokenId, eosTokenId] = [0, 1, 2];
  return {
    vocabularySize: tokens.length,
    padTokenId,
    bosTokenId,
    eosTokenId,
    files: {
      'tokenizer.json': {
        version: '1.0',
        truncation: null,
        padding: null,
        added_tokens: specials.map((content, id) => ({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true })),
        normalizer: null,
        pre_tokenizer: { type: 'Split', pattern: { Regex: '[\\s\\S]' }, behavior: 'Isolated', invert: false },
        post_processor: {
          type: 'TemplateProcessing',
          single: [{ SpecialToken: { id: '<bos>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
          pair: [{ SpecialToken: { id: '<bos>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 0 } }],
          special_tokens: { '<bos>': { id: '<bos>', ids: [bosTokenId], tokens: ['<bos>'] } },
        },
        decoder: { type: 'Fuse' },
        model: {
          type: 'BPE',
          dropout: null,
          unk_token: '<unk>',
          continuing_subword_prefix: null,
          end_of_word_suffix: null,
          fuse_unk: false,
          byte_fallback: false,
          ignore_merges: false,
          vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
          merges: [],
        },
      },
      'tokenizer_config.json': {
        tokenizer_class: 'PreTrainedTokenizerFast',
        model_max_length: contextLength,
        padding_side: 'left',
        clean_up_tokenization_spaces: false,
        // Said here too: a plain pipeline of transformers.js does not look at the post-processor.
        add_bos_token: true,
        pad_token: '<pad>',
        bos_token: '<bos>',
        eos_token: '<eos>',
        unk_token: '<unk>',
      },
    },
  };
}
