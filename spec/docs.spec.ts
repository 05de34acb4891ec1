/** The documentation is true: its examples run, its quotes are in the source, its links lead somewhere. */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ops } from '../reference/ops.ts';
import { path } from './support.ts';

const DOCUMENTS = [
  ...['README.md', 'reference/README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'],
  ...['docs/writing-a-kernel.md', 'docs/reasoning.md'],
];
const READING_PATH = 'reference/README.md';

interface Fence {
  /** Everything after the backticks: `ts`, or `ts quote=selectiveScanStep.ts`. */
  info: string;
  code: string;
  /** Line of the opening backticks, counted from 1. */
  line: number;
}

/** The fenced blocks of a document, and its text without them. */
function parse(name: string): { fences: Fence[]; prose: string } {
  const fences: Fence[] = [];
  const prose: string[] = [];
  let open: Fence | undefined;
  readFileSync(path(name), 'utf8')
    .split('\n')
    .forEach((text, i) => {
      const info = /^\s*```(.*)$/.exec(text)?.[1].trim();
      if (open && info === '') {
        fences.push(open);
        open = undefined;
      } else if (open) {
        open.code += `${text}\n`;
      } else if (info !== undefined) {
        open = { info, code: '', line: i + 1 };
      } else {
        prose.push(text);
      }
    });
  if (open) throw new Error(`${name}:${open.line}: this block is never closed`);
  return { fences, prose: prose.join('\n') };
}

/** The value that an example prints, in the forms in which a document may state it. */
function printed(value: unknown): string[] {
  const plain = ArrayBuffer.isView(value) ? Array.from(value as Float64Array) : value;
  const json = JSON.stringify(plain, (_, v) =>
    v instanceof Float64Array || v instanceof Float32Array || v instanceof Int32Array
      ? Array.from(v)
      : v,
  );
  return [String(value), json ?? 'undefined'].map(normal);
}

/** Spaces and the kind of quotation marks make no difference, nor do quotation marks around keys. */
function normal(text: string): string {
  return text
    .replaceAll("'", '"')
    .replace(/"([A-Za-z_]\w*)":/g, '$1:')
    .replace(/\s+/g, '');
}

const CHECK = '__check';

/** The example as a module: the package's names lead to the sources, and `expr; // → text` is a check. */
function toModule(code: string): { source: string; checks: number } {
  let checks = 0;
  const source = code
    .replace(/(['"])selscan(\/\w+)?\1/g, (_, _quote, part: string | undefined) => {
      if (part === '/reference') return JSON.stringify(path('reference/index.ts'));
      return JSON.stringify(path(`lib${part ?? ''}/index.ts`));
    })
    .replace(
      /^(\s*)(.+?);?[ \t]*\/\/ → (.*)$/gm,
      (_, indent: string, expression: string, wanted: string) => {
        checks++;
        const [, target, value] =
          /^(?:const|let) (\w+) = (.*)$/.exec(expression) ?? ([null, '', expression] as const);
        const declaration = target ? `${expression};` : '';
        const judged = target ? target : `(${value})`;
        return `${indent}${declaration}globalThis.${CHECK}(${judged}, ${JSON.stringify(wanted.trim())});`;
      },
    );
  return { source: `${source}\nexport {};\n`, checks };
}

async function runExample(file: string, code: string): Promise<void> {
  const { source, checks } = toModule(code);
  const folder = path('.scratch/docs');
  mkdirSync(folder, { recursive: true });
  const at = join(folder, file);
  writeFileSync(at, source);
  let checked = 0;
  Object.assign(globalThis, {
    [CHECK]: (value: unknown, wanted: string) => {
      checked++;
      const forms = printed(value);
      if (!forms.includes(normal(wanted))) expect(forms.at(-1)).toBe(normal(wanted));
    },
  });
  await import(/* @vite-ignore */ pathToFileURL(at).href);
  expect(checked, 'stated values that were reached').toBeGreaterThanOrEqual(checks);
}

describe.each(DOCUMENTS)('%s', (name) => {
  const { fences, prose } = parse(name);

  for (const { info, code, line } of fences.filter((fence) => fence.info === 'ts')) {
    it(`runs the ${info} example of line ${line} and gets the values it states`, async () => {
      const cwd = process.cwd();
      process.chdir(path('.'));
      try {
        await runExample(`${name.replaceAll('/', '-')}-${line}.ts`, code);
      } finally {
        process.chdir(cwd);
      }
    });
  }

  it('links to files that exist', () => {
    // code spans may hold brackets that are no links; a link's own text may be a code span
    const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target);
    const relative = links.filter((target) => !/^([a-z]+:|#)/.test(target));
    const missing = relative.filter(
      (target) => !existsSync(path(dirname(name), target.split('#')[0])),
    );
    expect(missing).toEqual([]);
  });

  it('quotes lines that are in the source', () => {
    const wrong: string[] = [];
    for (const { info, code, line } of fences) {
      const file = /quote=(\S+)/.exec(info)?.[1];
      if (!file) continue;
      const source = readFileSync(path(dirname(name), file), 'utf8').split('\n');
      const lines = new Set(source.map((text) => text.trim()));
      for (const quoted of code.split('\n').map((text) => text.trim())) {
        if (quoted && !lines.has(quoted)) wrong.push(`line ${line}: ${file} has no "${quoted}"`);
      }
      if (!prose.includes(`](${file})`)) wrong.push(`line ${line}: no link to ${file}`);
    }
    expect(wrong).toEqual([]);
  });
});

describe.runIf(DOCUMENTS.includes(READING_PATH))('the op table', () => {
  it('has a row for every op, and no other', () => {
    const rows = [...parse(READING_PATH).prose.matchAll(/^\| \[`(\w+)`\]\(\w+\.ts\) \|/gm)];
    expect(rows.map(([, op]) => op).sort()).toEqual(Object.keys(ops).sort());
  });
});
