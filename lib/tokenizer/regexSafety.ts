/** Refuses regular expressions that can take exponential time on a short text. */

import { type AST, RegExpParser } from '@eslint-community/regexpp';

/** Repetitions from here on count as unbounded. */
const MANY = 16;

/**
 * Why a pattern may backtrack for ever, or undefined if it cannot.
 *
 * Exponential time needs a repetition whose body can match the same text in more than one way. Refused are
 * repetitions, unbounded or of 16 and more, whose body
 * - contains such a repetition itself, as (a+)+;
 * - can match nothing, as (a?)*;
 * - has alternatives that can begin with the same character, as (a|ab)*.
 * Every pre-tokenizer published so far passes. A safe pattern may be refused; an unsafe one is not let
 * through, but for back references and lookarounds inside repetitions, which are refused as well.
 */
export function exponentialRisk(pattern: RegExp): string | undefined {
  const { unicode, flags } = pattern;
  const modes = { unicode, unicodeSets: flags.includes('v') };
  const ast = new RegExpParser({ ecmaVersion: 2025 }).parsePattern(
    pattern.source,
    0,
    undefined,
    modes,
  );
  return riskOfAlternatives(ast.alternatives);
}

function riskOfAlternatives(alternatives: readonly AST.Alternative[]): string | undefined {
  for (const alternative of alternatives) {
    for (const element of alternative.elements) {
      const risk = riskOfElement(element);
      if (risk) return risk;
    }
  }
  return undefined;
}

function riskOfElement(element: AST.Element): string | undefined {
  switch (element.type) {
    case 'Group':
    case 'CapturingGroup':
      return riskOfAlternatives(element.alternatives);
    case 'Assertion':
      return element.kind === 'lookahead' || element.kind === 'lookbehind'
        ? riskOfAlternatives(element.alternatives)
        : undefined;
    case 'Quantifier':
      return element.max >= MANY ? riskOfBody(element) : riskOfElement(element.element);
    default:
      return undefined;
  }
}

/** A body that is repeated many times must match a text in one way only. */
function riskOfBody({ element, raw }: AST.Quantifier): string | undefined {
  if (element.type !== 'Group' && element.type !== 'CapturingGroup') return undefined;
  const { alternatives } = element;
  for (const { elements } of alternatives) {
    if (elements.every(canBeEmpty)) return `${raw} repeats something that can be empty`;
    if (elements.some(isHardToJudge)) return `${raw} repeats a repetition`;
  }
  if (alternatives.length > 1 && !haveDistinctStarts(alternatives)) {
    return `${raw} repeats alternatives that can begin alike`;
  }
  return undefined;
}

function canBeEmpty(element: AST.Element): boolean {
  switch (element.type) {
    case 'Assertion':
      return true;
    case 'Quantifier':
      return element.min === 0 || canBeEmpty(element.element);
    case 'Group':
    case 'CapturingGroup':
      return element.alternatives.some(({ elements }) => elements.every(canBeEmpty));
    case 'Backreference':
      return true;
    default:
      return false;
  }
}

/** Anything inside a repeated body that is more than a fixed string of character classes. */
function isHardToJudge(element: AST.Element): boolean {
  switch (element.type) {
    case 'Character':
    case 'CharacterClass':
    case 'CharacterSet':
      return false;
    case 'Quantifier':
      return element.min !== element.max || element.max >= MANY || isHardToJudge(element.element);
    case 'Group':
    case 'CapturingGroup':
      return (
        element.alternatives.length > 1 || element.alternatives[0].elements.some(isHardToJudge)
      );
    default:
      return true;
  }
}

/** Whether every alternative begins with a literal character, all of them different. */
function haveDistinctStarts(alternatives: readonly AST.Alternative[]): boolean {
  const starts = alternatives.map(({ elements }) => {
    const [first] = elements;
    return first?.type === 'Character' ? first.value : undefined;
  });
  return !starts.includes(undefined) && new Set(starts).size === starts.length;
}
