/** Makes a report of runs: a page, and each figure as SVG and PNG. Node only. */

import { cpus } from 'node:os';
import { join } from 'node:path';
import { writeAtomically } from '../checkpoint/atomicFile.ts';
import { svgToPng } from '../figures/png.ts';
import type { AggregateOptions } from '../reasoning/aggregate.ts';
import type { LedgerChain } from '../reasoning/chain.ts';
import { gradeChains } from '../reasoning/grade.ts';
import { type Crossing, crossingOf, curvesOf, DRAWN, type ModelCurves } from './curves.ts';
import { figuresOf } from './figures.ts';
import { type Gathered, sharedProblems } from './gather.ts';
import { crossingText, type Example, pageText, shareText } from './page.ts';

export interface ReportOptions extends AggregateOptions {
  /** Folder that is written. */
  readonly out: string;
  readonly title?: string;
  /** The model that others are compared with. Default: the first. */
  readonly reference?: string;
  /** Problems whose chains are shown. Default 6. */
  readonly examples?: number;
}

export interface Report {
  /** The page. */
  readonly path: string;
  readonly models: readonly ModelCurves[];
  readonly crossings: readonly Crossing[];
}

/** Writes the report. Files that are there are replaced, each whole or not at all. */
export async function writeReport(
  gathered: Gathered,
  {
    out,
    title = 'More thinking in the same time',
    reference,
    examples = 6,
    ...judging
  }: ReportOptions,
): Promise<Report> {
  const chains = sharedProblems(gathered.chains);
  const names = [...gathered.models.keys()];
  const order =
    reference === undefined ? names : [reference, ...names.filter((n) => n !== reference)];
  const perProblem = new Set(
    gathered.manifests.flatMap(({ settings, models: known }) =>
      settings.budgetPer === 'problem' ? Object.keys(known) : [],
    ),
  );
  const models = curvesOf(chains, gathered.models, { ...judging, names: order, perProblem });
  const [first, ...others] = models;
  const crossings = others.flatMap((model) =>
    DRAWN.flatMap(({ policy }) => crossingOf(model, first, policy) ?? []),
  );
  const facts = factsOf(gathered, chains, models);
  const figures = figuresOf(models, [facts[facts.length - 1]]);
  const page = pageText({
    ...{ title, facts, models, figures },
    findings: [...models.map(meanText), ...crossings.map(crossingText)],
    examples: examplesOf(chains, gathered.questions, examples, judging),
  });
  for (const { file, svg } of figures) {
    await writeAtomically(join(out, `${file}.svg`), new TextEncoder().encode(svg));
    await writeAtomically(join(out, `${file}.png`), await svgToPng(svg));
  }
  const path = join(out, 'report.html');
  await writeAtomically(path, new TextEncoder().encode(page));
  return { path, models, crossings };
}

function meanText({ name, aggregate }: ModelCurves): string {
  return `${name}: one chain solves ${shareText(aggregate.mean)}.`;
}

/** What was sampled and where; the machine last. */
function factsOf(
  { manifests, torn, chains: all }: Gathered,
  chains: readonly LedgerChain[],
  models: readonly ModelCurves[],
): string[] {
  const asked = manifests.map(({ settings }) => {
    const { temperature = 1 } = settings.sampling as { temperature?: number };
    return `${settings.problems}; temperature ${temperature}, at most ${settings.maxTokens} new tokens, seed ${settings.seed}.`;
  });
  const left = all.length - chains.length;
  const backends = [...new Set(models.flatMap(({ known }) => known?.backend ?? []))];
  return [
    ...new Set(asked),
    `${chains.length.toLocaleString('en-US')} chains of ${models.length} ${models.length === 1 ? 'model' : 'models'}.`,
    ...(left > 0
      ? [`${left} chains of problems that not every model was asked yet are left out.`]
      : []),
    ...(torn > 0
      ? [`${torn} last lines were cut off while they were written, and are left out.`]
      : []),
    `Measured on ${cpus()[0]?.model.trim() ?? 'an unknown processor'}, ${cpus().length} cores${
      backends.length > 0 ? `, ${backends.join(', ')}` : ''
    }, Node ${process.versions.node}.`,
  ];
}

/** The first chain of each model for some problems. */
function examplesOf(
  chains: readonly LedgerChain[],
  questions: ReadonlyMap<string | number, string>,
  count: number,
  judging: AggregateOptions,
): Example[] {
  const graded = gradeChains(chains, judging);
  const problems = graded[0].problems.slice(0, count).map(({ problem }) => problem);
  return problems.map((problem) => {
    const own = chains.filter((chain) => chain.problem === problem);
    const shown = graded.flatMap(({ model, problems: all }) => {
      const first = all.find((one) => one.problem === problem)?.chains[0];
      const chain = own.find((one) => one.model === model && one.sample === first?.sample);
      return first && chain ? [{ ...chain, answer: first.answer, isRight: first.isRight }] : [];
    });
    const { gold } = own[0];
    const question = questions.get(problem) ?? `problem ${problem}`;
    return { question, ...(gold !== undefined && { gold }), chains: shown };
  });
}
