import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CheckpointError } from '../lib/checkpoint/errors.ts';
import { JsonInteger, type JsonRules, parseJson, toPlain } from '../lib/checkpoint/json.ts';
import { SEED } from './support.ts';

const RULES: JsonRules = { file: 'x.json', syntax: 'ConfigJson' };
const RUNS = { seed: SEED, numRuns: 2000 };

function parse(text: string | Uint8Array, rules: Partial<JsonRules> = {}) {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  return parseJson(bytes, { ...RULES, ...rules });
}

/** The code of the refusal, or `accepted`. */
function codeOf(text: string | Uint8Array, rules?: Partial<JsonRules>): string {
  try {
    parse(text, rules);
    return 'accepted';
  } catch (error) {
    expect(error).toBeInstanceOf(CheckpointError);
    expect((error as CheckpointError).file).toBe('x.json');
    return (error as CheckpointError).code;
  }
}

function nested(levels: number, inner = '1'): string {
  return '['.repeat(levels) + inner + ']'.repeat(levels);
}

describe('the JSON parser', () => {
  it.each(['grapheme', 'binary', 'binary-ascii'] as const)(
    'gives the same values as JSON.parse for texts of %s characters',
    (stringUnit) => {
      const text = fc.json({ maxDepth: 5, stringUnit });
      const indents = fc.constantFrom('', ' ', '\t', '\r\n');
      fc.assert(
        fc.property(text, indents, (compact, indent) => {
          const value = JSON.parse(compact);
          const written = indent + JSON.stringify(value, null, indent.trim() || 2) + indent;
          for (const one of [compact, written]) {
            expect(JSON.stringify(toPlain(parse(one)))).toBe(JSON.stringify(value));
          }
        }),
        RUNS,
      );
    },
  );

  it('refuses what JSON.parse refuses, and accepts no more', () => {
    const characters = fc.constantFrom(...'{}[]",:\\/bfnrtu019-+.eE \t\ntruefalsnNaIy\u00e9');
    const nearJson = fc.array(characters, { maxLength: 12 }).map((all) => all.join(''));
    const isJson = (text: string) => {
      try {
        JSON.parse(text);
        return true;
      } catch {
        return false;
      }
    };
    let valid = 0;
    fc.assert(
      fc.property(nearJson, (text) => {
        const code = codeOf(text);
        if (code === 'DuplicateKey') return;
        if (isJson(text)) valid++;
        expect(code).toBe(isJson(text) ? 'accepted' : 'ConfigJson');
      }),
      { seed: SEED, numRuns: 20_000 },
    );
    expect(valid).toBeGreaterThan(100);
  });

  it('reads every escape and surrogate pairs, and refuses halves of them', () => {
    expect(parse('"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\ud83d\\udc0d"')).toBe(
      '"\\/\b\f\n\r\tA\u{1f40d}',
    );
    for (const text of ['"\\ud83d"', '"\\udc0d"', '"\\ud83d\\ud83d"', '"\\ud83dx"', '"\\x41"']) {
      expect(codeOf(text), text).toBe('ConfigJson');
    }
    expect(codeOf('"\\u00g0"')).toBe('ConfigJson');
  });

  it('reads numbers to the last bit as JSON.parse does', () => {
    const doubles = fc.double({ noDefaultInfinity: true, noNaN: true });
    fc.assert(
      fc.property(doubles, (x) => {
        for (const text of [JSON.stringify(x), x.toExponential(), `-${Math.abs(x)}`]) {
          expect(parse(text)).toBe(JSON.parse(text));
        }
      }),
      RUNS,
    );
    for (const text of ['01', '+1', '1.', '.5', '1e', '0x10', '1_000', '--1']) {
      expect(codeOf(text), text).toBe('ConfigJson');
    }
  });

  it('refuses a key that stands twice, however it is written', () => {
    expect(codeOf('{"a":1,"a":1}')).toBe('DuplicateKey');
    expect(codeOf('{"a":1,"\\u0061":2}')).toBe('DuplicateKey');
    expect(codeOf('[{"b":{"__proto__":1,"__proto__":2}}]')).toBe('DuplicateKey');
    expect(codeOf('[{"a":1},{"a":2}]')).toBe('accepted');
  });

  it('keeps __proto__ as a key like any other, or refuses it where asked', () => {
    const json = parse('{"__proto__":{"polluted":true},"constructor":1}');
    expect(json).toEqual(
      new Map<string, unknown>([
        ['__proto__', new Map([['polluted', true]])],
        ['constructor', 1],
      ]),
    );
    const plain = toPlain(json) as object;
    expect(Object.getPrototypeOf(plain)).toBe(null);
    expect(Object.keys(plain)).toEqual(['__proto__', 'constructor']);
    expect('polluted' in {}).toBe(false);
    for (const key of ['__proto__', 'constructor', 'prototype', '\\u005f_proto__']) {
      expect(codeOf(`{"a":[{"${key}":1}]}`, { refusesUnsafeKeys: true }), key).toBe('UnsafeKey');
    }
  });

  it('keeps every digit of an integer where asked, and tells 4.0 and 4e0 from 4', () => {
    const exact = { hasExactIntegers: true };
    fc.assert(
      fc.property(fc.bigInt(-(2n ** 100n), 2n ** 100n), (n) => {
        expect(parse(String(n), exact)).toEqual(new JsonInteger(n));
        expect(parse(String(n))).toBe(Number(n));
      }),
      RUNS,
    );
    expect(parse('[4, 4.0, 4e0]', exact)).toEqual([new JsonInteger(4n), 4, 4]);
    expect(toPlain(parse('[9007199254740993]', exact))).toEqual([9007199254740992]);
    expect(codeOf('9'.repeat(41), exact)).toBe('ConfigJson');
    expect(codeOf('9'.repeat(1_000_000), exact)).toBe('ConfigJson');
  });

  it('takes NaN and the infinities only where allowed', () => {
    const text = '[NaN,Infinity,-Infinity]';
    expect(parse(text, { allowsNonFinite: true })).toEqual([NaN, Infinity, -Infinity]);
    for (const one of ['NaN', 'Infinity', '-Infinity', '[1,NaN]']) {
      expect(codeOf(one), one).toBe('ConfigJson');
    }
    for (const one of ['nan', 'inf', '+Infinity', '-NaN', 'Infinit']) {
      expect(codeOf(one, { allowsNonFinite: true }), one).toBe('ConfigJson');
    }
    expect(parse('"NaN"')).toBe('NaN');
  });

  it('reads 128 levels of nesting and refuses more, however many', () => {
    expect(toPlain(parse(nested(128)))).toEqual(JSON.parse(nested(128)));
    expect(codeOf(nested(129))).toBe('ConfigJson');
    expect(codeOf('['.repeat(129) + ']'.repeat(129))).toBe('ConfigJson');
    expect(codeOf('['.repeat(5_000_000))).toBe('ConfigJson');
    expect(codeOf('{"a":'.repeat(1_000_000))).toBe('ConfigJson');
  });

  it('refuses bytes that are not UTF-8 with a code of their own, and a byte order mark', () => {
    const quoted = (...bytes: number[]) => Uint8Array.of(0x22, ...bytes, 0x22);
    const invalid = [
      [0xff],
      [0xc0, 0xaf],
      [0xed, 0xa0, 0x80],
      [0xe2, 0x82],
      [0xf5, 0x80, 0x80, 0x80],
    ];
    for (const bytes of invalid) {
      expect(codeOf(quoted(...bytes), { utf8: 'HeaderUtf8' })).toBe('HeaderUtf8');
      expect(codeOf(quoted(...bytes))).toBe('ConfigJson');
    }
    expect(codeOf(Uint8Array.of(0xef, 0xbb, 0xbf, 0x7b, 0x7d), { utf8: 'HeaderUtf8' })).toBe(
      'ConfigJson',
    );
    expect(parse(quoted(0xe2, 0x82, 0xac))).toBe('€');
  });

  it('refuses with the code that the caller chose and says where', () => {
    expect(codeOf('{"a" 1}', { syntax: 'IndexJson' })).toBe('IndexJson');
    expect(() => parse('{"a" 1}')).toThrow(
      'x.json: not valid JSON: expected ":", got "1" at character 5',
    );
    expect(() => parse('[1')).toThrow('the end');
  });
});
