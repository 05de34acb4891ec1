/** The rules that keep the code readable, checked on the syntax of every file. */

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { ops } from '../reference/ops.ts';
import { path } from './support.ts';

const FOLDERS = ['reference', 'backends', 'lib', 'fixtures', 'spec', 'bench', 'examples'];
const SHIPPED = ['reference', 'backends', 'lib'];
const LONGEST = 300;

/** Functions whose results ECMAScript leaves to the engine. */
const IMPLEMENTATION_DEFINED =
  /^(a?(sin|cos|tan)h?|atan2|cbrt|exp|expm1|hypot|log|log1p|log2|log10|pow)$/;

interface Import {
  /** Path from the root of the checkout, or the name of a package. */
  to: string;
  isPackage: boolean;
  isTypeOnly: boolean;
}

interface SourceFile {
  name: string;
  folder: string;
  lines: number;
  imports: Import[];
  syntax: ts.SourceFile;
}

function namesUnder(folder: string): string[] {
  if (!existsSync(path(folder))) return [];
  return readdirSync(path(folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('node_modules'))
    .map((entry) => relative(path('.'), join(entry.parentPath, entry.name)))
    .sort();
}

function read(name: string): SourceFile {
  const text = readFileSync(path(name), 'utf8');
  const syntax = ts.createSourceFile(name, text, ts.ScriptTarget.ES2022, true);
  const imports: Import[] = [];
  visit(syntax, (node) => {
    const found = importOf(node);
    if (!found) return;
    const isPackage = !found.specifier.startsWith('.');
    const to = isPackage ? found.specifier : posix.join(dirname(name), found.specifier);
    imports.push({ to, isPackage, isTypeOnly: found.isTypeOnly });
  });
  const lines = text.trimEnd().split('\n').length;
  return { name, folder: name.split('/')[0] ?? '', lines, imports, syntax };
}

function visit(node: ts.Node, see: (node: ts.Node) => void): void {
  see(node);
  ts.forEachChild(node, (child) => visit(child, see));
}

function importOf(node: ts.Node): { specifier: string; isTypeOnly: boolean } | undefined {
  if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
    const clause = node.importClause;
    const named = clause?.namedBindings;
    const areAllTypes =
      !clause?.name &&
      named !== undefined &&
      ts.isNamedImports(named) &&
      named.elements.every((element) => element.isTypeOnly);
    const isTypeOnly = clause?.isTypeOnly === true || areAllTypes;
    return { specifier: node.moduleSpecifier.text, isTypeOnly };
  }
  if (ts.isExportDeclaration(node) && node.moduleSpecifier) {
    if (!ts.isStringLiteral(node.moduleSpecifier)) return undefined;
    return { specifier: node.moduleSpecifier.text, isTypeOnly: node.isTypeOnly };
  }
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
    const { literal } = node.argument;
    return ts.isStringLiteral(literal) ? { specifier: literal.text, isTypeOnly: true } : undefined;
  }
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    const [argument] = node.arguments;
    // a path that is made at run time could lead anywhere
    const specifier = argument && ts.isStringLiteralLike(argument) ? argument.text : './?';
    return { specifier, isTypeOnly: false };
  }
  return undefined;
}

const files = FOLDERS.flatMap(namesUnder)
  .filter((name) => /\.[cm]?ts$/.test(name))
  .map(read);
const filesIn = (...folders: string[]) => files.filter(({ folder }) => folders.includes(folder));

/** The imports of some files that break a rule, as sentences. */
function breaking(among: readonly SourceFile[], allows: (found: Import) => boolean): string[] {
  return among.flatMap(({ name, imports }) =>
    imports.filter((found) => !allows(found)).map(({ to }) => `${name} imports ${to}`),
  );
}

/** The places of some files that break a rule. */
function places(among: readonly SourceFile[], breaks: (node: ts.Node) => boolean): string[] {
  return among.flatMap(({ name, syntax }) => {
    const found: string[] = [];
    visit(syntax, (node) => {
      if (!breaks(node)) return;
      const { line } = syntax.getLineAndCharacterOfPosition(node.getStart());
      found.push(`${name}:${line + 1}: ${node.getText().slice(0, 60)}`);
    });
    return found;
  });
}

const isIn = (...folders: string[]) => {
  return ({ to, isPackage }: Import) =>
    !isPackage && folders.some((folder) => to.startsWith(`${folder}/`));
};

describe('imports point one way', () => {
  it('finds the files', () => {
    expect(filesIn('reference').length).toBeGreaterThan(40);
    expect(filesIn('lib').length).toBeGreaterThan(40);
    expect(filesIn('reference').flatMap(({ imports }) => imports).length).toBeGreaterThan(100);
  });

  it('reference imports reference, and no package', () => {
    expect(breaking(filesIn('reference'), isIn('reference'))).toEqual([]);
  });

  it('backends take only types from reference, apart from errors.ts and tensor.ts', () => {
    const values = ['reference/errors.ts', 'reference/tensor.ts'];
    const allows = (found: Import) =>
      found.isPackage ||
      isIn('backends')(found) ||
      (isIn('reference')(found) && (found.isTypeOnly || values.includes(found.to)));
    expect(breaking(filesIn('backends'), allows)).toEqual([]);
  });

  it('lib imports reference, backends and lib, and packages that are dependencies', () => {
    const { dependencies } = JSON.parse(readFileSync(path('package.json'), 'utf8'));
    const packages = Object.keys(dependencies);
    const allows = (found: Import) =>
      isIn(...SHIPPED)(found) || packages.includes(found.to) || found.to.startsWith('node:');
    expect(breaking(filesIn('lib'), allows)).toEqual([]);
  });

  it('nothing outside them imports spec, bench or examples; a spec may import the stand-ins of bench', () => {
    for (const folder of ['spec', 'bench', 'examples']) {
      const others = files.filter((file) => file.folder !== folder);
      const standins = ({ to }: Import) => to.startsWith('bench/standins/');
      const found = others.flatMap((file) => {
        const isAllowed = (one: Import) =>
          !isIn(folder)(one) || (file.folder === 'spec' && standins(one));
        return breaking([file], isAllowed);
      });
      expect(found).toEqual([]);
    }
  });
});

describe('the shape of the code', () => {
  it(`no file is longer than ${LONGEST} lines`, () => {
    const long = files.filter(({ lines }) => lines > LONGEST);
    expect(long.map(({ name, lines }) => `${name}: ${lines} lines`)).toEqual([]);
  });

  it('every op with a file of its own has a spec of the same name', () => {
    const names = Object.keys(ops).filter((op) => existsSync(path('reference', `${op}.ts`)));
    expect(names.length).toBeGreaterThan(20);
    expect(names.filter((op) => !existsSync(path('spec', `${op}.spec.ts`)))).toEqual([]);
  });
});

describe('the same bits everywhere', () => {
  const deciding = files.filter(({ name }) => /^(reference|lib\/(decode|tasks))\//.test(name));

  it('reference, lib/decode and lib/tasks call nothing of Math that engines may round as they like', () => {
    const breaks = (node: ts.Node) =>
      ts.isIdentifier(node) && node.text === 'Math' && !isExactMath(node.parent);
    expect(places(deciding, breaks)).toEqual([]);
  });

  it('reference, lib/decode and lib/tasks take powers of whole constants only', () => {
    const breaks = (node: ts.Node) => {
      if (!ts.isBinaryExpression(node)) return false;
      const { kind } = node.operatorToken;
      if (kind === ts.SyntaxKind.AsteriskAsteriskEqualsToken) return true;
      return (
        kind === ts.SyntaxKind.AsteriskAsteriskToken &&
        !(isWholeConstant(node.left) && isWholeConstant(node.right))
      );
    };
    expect(places(deciding, breaks)).toEqual([]);
  });
});

/** Whether Math is only asked for something that ECMAScript defines to the bit. */
function isExactMath(parent: ts.Node): boolean {
  return ts.isPropertyAccessExpression(parent) && !IMPLEMENTATION_DEFINED.test(parent.name.text);
}

function isWholeConstant(node: ts.Node): boolean {
  if (ts.isParenthesizedExpression(node)) return isWholeConstant(node.expression);
  if (ts.isPrefixUnaryExpression(node)) return isWholeConstant(node.operand);
  return (ts.isNumericLiteral(node) || ts.isBigIntLiteral(node)) && /^\d+n?$/.test(node.text);
}

describe('what is shipped', () => {
  const shipped = filesIn(...SHIPPED);

  it('never makes code out of text', () => {
    const breaks = (node: ts.Node) =>
      (ts.isCallExpression(node) || ts.isNewExpression(node)) &&
      ts.isIdentifier(node.expression) &&
      ['eval', 'Function'].includes(node.expression.text);
    expect(places(shipped, breaks)).toEqual([]);
  });

  it('never reaches for the network', () => {
    const names = ['fetch', 'XMLHttpRequest', 'WebSocket', 'EventSource'];
    const breaks = (node: ts.Node) => ts.isIdentifier(node) && names.includes(node.text);
    expect(places(shipped, breaks)).toEqual([]);
    const network = /^(node:)?(http|https|http2|net|tls|dgram|dns|undici)(\/|$)/;
    expect(breaking(shipped, ({ to, isPackage }) => !isPackage || !network.test(to))).toEqual([]);
  });
});

describe.each(['golden', 'malformed'])('fixtures/%s', (folder) => {
  const shared = `../shared/${folder}`;

  it.skipIf(!existsSync(path(shared)))('equals the shared folder, byte for byte', () => {
    expect(hashes(`fixtures/${folder}`)).toEqual(hashes(shared));
  });
});

/** SHA-256 of each file of a folder by its path there. */
function hashes(folder: string): Record<string, string> {
  const root = path(folder);
  const entries = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  return Object.fromEntries(
    entries.map((name) => [
      name.slice(root.length),
      createHash('sha256').update(readFileSync(name)).digest('hex'),
    ]),
  );
}
