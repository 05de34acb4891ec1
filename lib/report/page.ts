/** A report as one HTML page: no script, nothing fetched, every text escaped. */

import type { LedgerChain } from '../reasoning/chain.ts';
import { type Crossing, type CurvePoint, DRAWN, drawnOf, type ModelCurves } from './curves.ts';
import type { Figure } from './figures.ts';
import { Html, html } from './html.ts';

export interface Page {
  readonly title: string;
  /** What was asked, of whom, and where. */
  readonly facts: readonly string[];
  /** What came out, in sentences. */
  readonly findings: readonly string[];
  readonly models: readonly ModelCurves[];
  readonly figures: readonly Figure[];
  /** Problems with some of their chains. */
  readonly examples: readonly Example[];
}

export interface Example {
  readonly question: string;
  readonly gold?: string;
  readonly chains: readonly (LedgerChain & { readonly isRight: boolean })[];
}

/** Scripts, frames and requests are refused by the browser as well. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

const STYLE = `
 body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; margin: 2rem auto; max-width: 64rem; padding: 0 1rem }
 h1, h2 { line-height: 1.2 } figure { margin: 1.5rem 0 } figure svg { max-width: 100%; height: auto }
 figcaption, .facts { color: #555 } table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto }
 th, td { padding: .25rem .75rem; text-align: right; border-bottom: 1px solid #ddd } th:first-child, td:first-child { text-align: left }
 td small { color: #555 } pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .25rem 0; font-size: .85rem }
 details { margin: .5rem 0 } .right { border-left: 4px solid #2a7f3f; padding-left: .5rem } .wrong { border-left: 4px solid #b33; padding-left: .5rem }
`;

/** The page's text. */
export function pageText(page: Page): string {
  const { title, facts, findings, models, figures, examples } = page;
  const { text } = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>${title}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<h1>${title}</h1>
<ul class="facts">${facts.map((fact) => html`<li>${fact}</li>`)}</ul>
<h2>What came out</h2>
<ul>${findings.map((finding) => html`<li>${finding}</li>`)}</ul>
${table(models)}
${figures.map(
  ({ caption, svg }) => html`<figure>${new Html(svg)}<figcaption>${caption}</figcaption></figure>
`,
)}
<h2>Models</h2>
${facilities(models)}
<h2>Some chains</h2>
${examples.map(example)}
</body>
</html>
`;
  return text;
}

/** Accuracies of each model with one chain and with the most. */
function table(models: readonly ModelCurves[]): Html {
  const drawn = drawnOf(models);
  const most = (model: ModelCurves) => model.aggregate.samples[0];
  const head = html`<tr><th>model</th><th>problems</th><th>chains each</th><th>without an answer</th><th>one chain</th>${drawn.map(
    ({ name }) => html`<th>${name}</th>`,
  )}</tr>`;
  const row = (model: ModelCurves) => {
    const { aggregate, curves } = model;
    const [low, high] = aggregate.intervals.mean;
    const one = { value: aggregate.mean, low, high };
    return html`<tr><td>${model.name}</td><td>${aggregate.problems}</td><td>${most(model)}</td><td>${shareText(
      aggregate.withoutAnswer / aggregate.chains,
    )}</td><td>${cell(one)}</td>${drawn.map(({ policy }) => html`<td>${cell(curves[policy]?.at(-1))}</td>`)}</tr>`;
  };
  return html`<table>${head}${models.map(row)}</table>
<p class="facts">Shares of problems solved, with 95 % intervals over problems. A chain without an answer counts as wrong. Beside
“one chain”, all chains of a problem that a power of two allows. ${models.flatMap(
    ({ name, aggregate }) => aggregate.notes.map((note) => `${name}: ${note}. `),
  )}</p>`;
}

function cell(point: Pick<CurvePoint, 'value' | 'low' | 'high'> | undefined): Html {
  if (!point) return html``;
  const { value, low, high } = point;
  return html`${shareText(value)} <small>${shareText(low)} – ${shareText(high)}</small>`;
}

/** A share for people: 41.5 %. */
export const shareText = (share: number) => `${(100 * share).toFixed(1)} %`;

/** What each model is and how fast. */
function facilities(models: readonly ModelCurves[]): Html {
  const count = (value: number) => Math.round(value).toLocaleString('en-US');
  const rows = models.map(({ name, known, meanTokens, tokensPerSecond }) => {
    const layers = Object.entries(known?.layers ?? {}).map(([kind, n]) => `${n} ${kind}`);
    const { throughput } = known ?? {};
    const best = throughput
      ? `${count(throughput.best.rows)} (${REASON[throughput.end]})`
      : undefined;
    return html`<tr><td>${name}</td><td>${layers.join(', ')}</td><td>${known && count(known.parameters)}</td><td>${count(
      meanTokens,
    )}</td><td>${best}</td><td>${tokensPerSecond && count(tokensPerSecond)}</td><td>${
      known && count(known.stateBytes)
    }</td><td>${known && count(known.kvBytesPerToken)}</td></tr>`;
  });
  return html`<table><tr><th>model</th><th>layers</th><th>parameters</th><th>tokens of a chain</th><th>best batch</th>
<th>tokens a second</th><th>state bytes</th><th>bytes per token</th></tr>${rows}</table>`;
}

const REASON = {
  flat: 'more are no faster',
  memory: 'memory holds no more',
  limit: 'no more were tried',
} as const;

function example({ question, gold, chains }: Example): Html {
  return html`<details><summary>${question.slice(0, 200)}</summary>
<pre>${question}</pre>${gold === undefined ? undefined : html`<p>Answer: ${gold}</p>`}
${chains.map(
  (
    chain,
  ) => html`<div class="${chain.isRight ? 'right' : 'wrong'}"><strong>${chain.model ?? 'model'}</strong>,
answer ${chain.answer ?? 'none'} (${chain.isRight ? 'right' : 'wrong'})<pre>${(chain.text ?? '').slice(0, 4000)}</pre></div>`,
)}</details>
`;
}

/** What a crossing says. */
export function crossingText({
  model,
  reference,
  policy,
  seconds,
  within,
  lead,
  best,
}: Crossing): string {
  const what = DRAWN.find((one) => one.policy === policy)?.name.replace(/:.*/, '') ?? policy;
  const points = `${lead < 0 ? '−' : '+'}${Math.abs(100 * lead).toFixed(1)} points`;
  if (seconds === undefined) {
    const { value, samples, matchedBy } = best;
    const reached =
      matchedBy &&
      ` Its most, ${shareText(value)} of ${samples}, ${reference} has of ${matchedBy}.`;
    return (
      `${what}: no crossover within ${secondsText(within)} a problem: ${model} is at ${points} of ${reference} there.` +
      `${reached ?? ''}`
    );
  }
  const since =
    seconds === 0 ? 'from its first chain on' : `from ${secondsText(seconds)} a problem on`;
  return `${what}: ${model} is ahead of ${reference} ${since}, at ${secondsText(within)} by ${points}.`;
}

const secondsText = (seconds: number) => `${Number(seconds.toPrecision(2))} s`;
