/** Tasks for reasoners: problems made from a seed, their right chains, and judges of written ones. */

export {
  ADDITION_PRESETS,
  type AdditionOptions,
  addition,
  MULTIPLICATION_PRESETS,
  type MultiplicationOptions,
  multiplication,
} from './arithmetic.ts';
export { createTask, TASKS, type TaskEntry } from './catalogue.ts';
export {
  type Expression,
  evaluate,
  formatExpression,
  formatNested,
  OPERATORS,
  type Operation,
  type Operator,
  parseExpression,
} from './expression.ts';
export {
  INDUCTION_HEADS_PRESETS,
  type InductionHeadsOptions,
  inductionHeads,
} from './inductionHeads.ts';
export { LISTOPS_PRESETS, type ListOpsContent, type ListOpsOptions, listOps } from './listOps.ts';
export {
  LISTOPS_COT_PRESETS,
  type ListOpsCotContent,
  type ListOpsCotOptions,
  listOpsCot,
} from './listOpsCot.ts';
export { ROUNDS_PRESETS, type RoundsOptions, rounds } from './rounds.ts';
export {
  SELECTIVE_COPYING_PRESETS,
  type SelectiveCopyingOptions,
  selectiveCopying,
} from './selectiveCopying.ts';
export { SPLITS, type Split, splitOf } from './split.ts';
export { answerOf, type ChainVerdict, type StepVerdict, stepsOf } from './steps.ts';
export type { Content, Dial, Problem, Task } from './task.ts';
export { IGNORED, type TokenContent } from './tokenTask.ts';
export { decodeText, encodeText, SPECIAL_IDS, tokenizerJson, VOCABULARY } from './vocabulary.ts';
export { WORD_PROBLEM_PRESETS, type WordProblemOptions, wordProblems } from './wordProblems.ts';
