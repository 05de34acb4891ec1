/** Files that commands read and write. */

import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ConfigError } from '../../reference/errors.ts';
import { CheckpointError } from '../checkpoint/errors.ts';
import { type Json, parseJson, toPlain } from '../checkpoint/json.ts';
import { flushFolder } from '../checkpoint/nodeFiles.ts';
import type { Prompt } from '../decode/events.ts';
import type { ChatMessage } from '../tokenizer/chatTemplate.ts';

/**
 * Writes a file so that it is there whole or not at all: to a temporary file beside it, flushed to disk,
 * then renamed. Makes its folder.
 */
export async function writeAtomically(path: string, bytes: Uint8Array): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  const temporary = join(folder, `.${basename(path)}.${process.pid}.part`);
  try {
    const file = await open(temporary, 'w');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await flushFolder(folder);
}

/**
 * Prompts of a file with one JSON object a line: `{"prompt": text}`, `{"tokens": [ids]}` or
 * `{"messages": [{"role", "content"}]}`. Empty lines are skipped.
 * @throws ConfigError with code EmptyPrompts, or PromptsFile naming the line.
 */
export async function readPrompts(path: string): Promise<Prompt[]> {
  const bytes = await readFile(path);
  const lines = new TextDecoder('utf-8').decode(bytes).split(/\r?\n/);
  const prompts: Prompt[] = [];
  lines.forEach((line, i) => {
    if (line.trim() !== '') prompts.push(readPrompt(line, `${path}, line ${i + 1}`));
  });
  if (prompts.length === 0) {
    throw new ConfigError(
      `${path}: expected a line {"prompt": …} for every prompt, got none`,
      'EmptyPrompts',
    );
  }
  return prompts;
}

function readPrompt(line: string, place: string): Prompt {
  const fail = (problem: string) => new ConfigError(`${place}: ${problem}`, 'PromptsFile');
  let json: Json;
  try {
    json = parseJson(new TextEncoder().encode(line), { file: place, syntax: 'ConfigJson' });
  } catch (error) {
    if (error instanceof CheckpointError) throw new ConfigError(error.message, 'PromptsFile');
    throw error;
  }
  if (!(json instanceof Map)) throw fail('expected an object {"prompt": …}');
  const text = json.get('prompt');
  if (typeof text === 'string') return text;
  const tokens = json.get('tokens');
  if (Array.isArray(tokens) && tokens.every((token) => typeof token === 'number')) return tokens;
  const messages = json.get('messages');
  if (Array.isArray(messages) && messages.every(isMessage)) {
    return { messages: toPlain(messages) as ChatMessage[] };
  }
  throw fail('expected "prompt" (a text), "tokens" (ids) or "messages" (role and content)');
}

function isMessage(json: Json): boolean {
  if (!(json instanceof Map)) return false;
  return typeof json.get('role') === 'string' && typeof json.get('content') === 'string';
}
