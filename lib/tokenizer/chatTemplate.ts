/** Chat templates: a model's own Jinja text, rendered with bounds on steps and size. */

import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';
import { CheckpointError } from '../checkpoint/errors.ts';
import type { Json } from '../checkpoint/json.ts';

/** One turn of a conversation. */
export interface ChatMessage {
  role: string;
  content: string;
}

export interface ChatOptions {
  /** Whether to end with the opening of the assistant's turn. Default true. */
  addGenerationPrompt?: boolean;
}

/** A conversation as the text that the model was trained on, special tokens included. */
export type ChatTemplate = (messages: readonly ChatMessage[], options?: ChatOptions) => string;

const MAX_TEMPLATE_CHARACTERS = 200_000;
const MAX_STEPS = 200_000;
const MAX_OUTPUT_CHARACTERS = 10_000_000;

/**
 * The template of a tokenizer_config.json: a text, or a list of named ones of which `default` is taken.
 * @throws CheckpointError with code ChatTemplate for a template that does not parse.
 */
export function chatTemplateOf(
  config: ReadonlyMap<string, Json>,
  file = 'tokenizer_config.json',
): ChatTemplate | undefined {
  const field = config.get('chat_template');
  const named = Array.isArray(field)
    ? field.find((item) => item instanceof Map && item.get('name') === 'default')
    : undefined;
  const source = named instanceof Map ? named.get('template') : field;
  if (typeof source !== 'string') return undefined;
  const variables: Record<string, string> = {};
  for (const name of ['bos_token', 'eos_token', 'unk_token', 'pad_token']) {
    const token = config.get(name);
    const text = token instanceof Map ? token.get('content') : token;
    if (typeof text === 'string') variables[name] = text;
  }
  return compile(source, variables, file);
}

type Fail = (problem: string, cause?: unknown) => never;

function failing(file: string): Fail {
  return (problem, cause) => {
    throw new CheckpointError('ChatTemplate', file, `chat_template: ${problem}`, { cause });
  };
}

function compile(
  source: string,
  variables: Readonly<Record<string, string>>,
  file: string,
): ChatTemplate {
  const fail: Fail = failing(file);
  if (source.length > MAX_TEMPLATE_CHARACTERS) {
    fail(`expected at most ${MAX_TEMPLATE_CHARACTERS} characters, got ${source.length}`);
  }
  let program: ReturnType<typeof parse>;
  try {
    program = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  } catch (cause) {
    fail(`does not parse: ${(cause as Error).message}`, cause);
  }
  return (messages, { addGenerationPrompt = true } = {}) => {
    const environment = new Environment();
    const globals: Record<string, unknown> = {
      true: true,
      false: false,
      none: null,
      range: boundedRange(fail),
      raise_exception: (message: string) => fail(String(message)),
      strftime_now: (format: string) => dateAs(new Date(), format),
      ...variables,
      messages: messages.map(({ role, content }) => ({ role, content })),
      add_generation_prompt: addGenerationPrompt,
    };
    for (const [name, value] of Object.entries(globals)) environment.set(name, value);
    try {
      const { value } = new BoundedInterpreter(environment, fail).run(program);
      if (typeof value !== 'string') fail('expected a text');
      return value;
    } catch (cause) {
      if (cause instanceof CheckpointError) throw cause;
      return fail(`cannot be rendered: ${(cause as Error).message}`, cause);
    }
  };
}

/** Counts the steps of a template, so that a hostile one ends. */
class BoundedInterpreter extends Interpreter {
  readonly #fail: Fail;
  #steps = 0;

  constructor(environment: Environment, fail: Fail) {
    super(environment);
    this.#fail = fail;
  }

  override evaluate(
    ...args: Parameters<Interpreter['evaluate']>
  ): ReturnType<Interpreter['evaluate']> {
    this.#steps += 1;
    if (this.#steps > MAX_STEPS) this.#fail(`takes more than ${MAX_STEPS} steps`);
    const result = super.evaluate(...args);
    const { value } = result;
    if (typeof value === 'string' && value.length > MAX_OUTPUT_CHARACTERS) {
      this.#fail(`makes a text of more than ${MAX_OUTPUT_CHARACTERS} characters`);
    }
    return result;
  }
}

/** Python's range, of at most as many numbers as a template may take steps. */
function boundedRange(fail: Fail) {
  return (first: number, second?: number, step = 1): number[] => {
    const [start, stop] = second === undefined ? [0, first] : [first, second];
    const count = Math.max(0, Math.ceil((stop - start) / step));
    if (!(count <= MAX_STEPS)) fail(`range of ${count} numbers`);
    return Array.from({ length: count }, (_, i) => start + i * step);
  };
}

/** The few date codes that templates use. */
function dateAs(date: Date, format: string): string {
  const two = (n: number) => String(n).padStart(2, '0');
  const month = date.toLocaleString('en', { month: 'long' });
  const codes: Record<string, string> = {
    '%Y': String(date.getFullYear()),
    '%m': two(date.getMonth() + 1),
    '%d': two(date.getDate()),
    '%b': month.slice(0, 3),
    '%B': month,
    '%H': two(date.getHours()),
    '%M': two(date.getMinutes()),
    '%S': two(date.getSeconds()),
    '%%': '%',
  };
  return format.replace(/%[a-zA-Z%]/g, (code) => codes[code] ?? code);
}
