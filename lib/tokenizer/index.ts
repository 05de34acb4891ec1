/** Text to tokens and back, and conversations to text, from a checkpoint's own files. */

export {
  type ChatMessage,
  type ChatOptions,
  type ChatTemplate,
  chatTemplateOf,
} from './chatTemplate.ts';
export { type GgufVocabularyOptions, ggufVocabulary } from './toGguf.ts';
export { encodePrompt, parseTokenizer, readTokenizer, type Tokenizer } from './tokenizer.ts';
