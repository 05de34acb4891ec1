/** Published results of votes, step scores and answers (huggingface/search-and-learn), for the specs that reproduce them. */

import { readFileSync } from 'node:fs';
import { path } from './support.ts';

interface Votes {
  op: 'aggregate';
  preds: string[];
  scores: number[];
  answer: string;
  majority: string;
  weighted: string;
  best_of_n: string;
  pass_at_k: Record<string, number>;
}

interface StepScores {
  op: 'aggregate_step_scores';
  scores: number[];
  min: number;
  prod: number;
  last: number;
}

type Case =
  | Votes
  | StepScores
  | { op: 'extract_answer'; text: string; answer: string }
  | { op: 'strip_string'; text: string; canonical: string };

const { cases }: { cases: Case[] } = JSON.parse(
  readFileSync(path('fixtures/golden/aggregation.json'), 'utf8'),
);

export const VOTES = cases.filter((item) => item.op === 'aggregate');
export const STEP_SCORES = cases.filter((item) => item.op === 'aggregate_step_scores');
export const EXTRACTIONS = cases.filter((item) => item.op === 'extract_answer');
export const SPELLINGS = cases.filter((item) => item.op === 'strip_string');
