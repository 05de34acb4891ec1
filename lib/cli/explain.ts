/** `selscan explain`: one decode step from the inside, for someone who wants to understand it. */

import type { Command } from 'commander';
import { ConfigError } from '../../reference/errors.ts';
import type { TraceEvent } from '../../reference/trace.ts';
import {
  HALF_LIFE_CLASSES,
  type SamplerSummary,
  type Spread,
  type SsmSummary,
  summariseAttention,
  summariseSampler,
  summariseSsm,
} from '../decode/summary.ts';
import { StreamingText } from '../decode/text.ts';
import { traceStep } from '../decode/traceStep.ts';
import { type LoadedModel, loadModel } from '../loadModel.ts';
import type { Context } from './context.ts';
import { type SamplingFlags, sampling, samplingOptions } from './generate.ts';
import { parseInteger, parseTokens } from './options.ts';
import { formatTable, type Terminal, terminalText } from './terminal.ts';

interface Flags extends SamplingFlags {
  model: string;
  prompt?: string;
  tokens?: number[];
  layer?: number;
  token?: number;
  json?: boolean;
}

export function addExplain(program: Command, context: Context): void {
  sampling(
    program
      .command('explain')
      .description(
        'show one decode step from the inside: what is forgotten, written, looked at, drawn',
      )
      .requiredOption(
        '--model <path>',
        'folder of the checkpoint in Hugging Face layout, or a .gguf file',
      )
      .option('--prompt <text>', 'text to take in')
      .option('--tokens <ids>', 'token ids to take in instead, literally: 1,2,3', parseTokens)
      .option('--layer <n>', 'show this layer in detail, counted from 0', parseInteger)
      .option(
        '--token <n>',
        'which token of the prompt to watch, counted from 0 (default: the last)',
        parseInteger,
      ),
  )
    .option('--json', 'print the numbers, with --layer also the tensors')
    .action((flags: Flags) => run(flags, context));
}

async function run(flags: Flags, { terminal, signal }: Context): Promise<void> {
  const prompt = flags.prompt ?? flags.tokens;
  if (prompt === undefined || (flags.prompt !== undefined && flags.tokens !== undefined)) {
    throw new ConfigError('prompt: expected either --prompt or --tokens', 'Usage');
  }
  const loaded = await loadModel(flags.model, { signal });
  const nLayers = loaded.config.layers.length;
  if (flags.layer !== undefined && !(flags.layer >= 0 && flags.layer < nLayers)) {
    throw new ConfigError(
      `layer: expected a whole number from 0 to ${nLayers - 1}, got ${flags.layer}`,
    );
  }
  const options = {
    ...samplingOptions(flags),
    ...(flags.token !== undefined && { position: flags.token }),
  };
  const step = traceStep(loaded, prompt, options);
  const events = step.events.filter(
    (event) => !('layer' in event) || flags.layer === undefined || event.layer === flags.layer,
  );
  if (flags.json) {
    const withTensors = flags.layer !== undefined;
    const { tokens, position, token } = step;
    const shown = events.flatMap((event) => summaryOf(event, withTensors));
    terminal.out(`${JSON.stringify({ tokens, position, token, events: shown }, asPlainArrays)}\n`);
    return;
  }
  const printer = new Printer(terminal, loaded, step.tokens);
  printer.title(step.position);
  for (const event of events) printer.show(event, flags.layer !== undefined);
}

/** An event as numbers, with its tensors if they are wanted. */
function summaryOf(event: TraceEvent, withTensors: boolean): object[] {
  const tensors = withTensors ? event : {};
  if (event.kind === 'ssm') {
    const { kind, layer, mixer } = event;
    return [{ kind, layer, mixer, summary: summariseSsm(event), ...tensors }];
  }
  if (event.kind === 'attention') {
    return [
      { kind: event.kind, layer: event.layer, summary: summariseAttention(event), ...tensors },
    ];
  }
  if (event.kind === 'sampler') return [{ kind: event.kind, summary: summariseSampler(event) }];
  return withTensors && event.kind === 'block' ? [event] : [];
}

/** Typed arrays as lists; infinite half-lives as texts, since JSON has no number for them. */
function asPlainArrays(_: string, value: unknown): unknown {
  if (value instanceof Float64Array || value instanceof Float32Array) return Array.from(value);
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}

class Printer {
  readonly #terminal: Terminal;
  readonly #loaded: LoadedModel;
  readonly #tokens: readonly number[];

  constructor(terminal: Terminal, loaded: LoadedModel, tokens: readonly number[]) {
    this.#terminal = terminal;
    this.#loaded = loaded;
    this.#tokens = tokens;
  }

  #line(text = ''): void {
    this.#terminal.out(`${text}\n`);
  }

  #heading(text: string): void {
    this.#line();
    this.#line(this.#terminal.style('bold', text));
  }

  /** A token after `before` others of the prompt: its text in quotes, or its id where it has none. */
  #text(token: number, before: number): string {
    const { tokenizer } = this.#loaded;
    const stream = tokenizer && new StreamingText(tokenizer, this.#tokens.slice(0, before));
    const text = stream?.push(token);
    return text ? JSON.stringify(terminalText(text)) : `<${token}>`;
  }

  /** The prompt's token at a position. */
  #at(position: number): string {
    return this.#text(this.#tokens[position], position);
  }

  title(position: number): void {
    const { family, config } = this.#loaded;
    const before = Array.from({ length: position }, (_, i) => this.#at(i)).join(' ');
    const token = this.#terminal.style('inverse', this.#at(position));
    this.#line(
      `${family}, ${config.layers.length} layers, position ${position}: ${before} ${token}`,
    );
  }

  show(event: TraceEvent, inDetail: boolean): void {
    if (event.kind === 'ssm') {
      const { hBefore, layer, mixer } = event;
      const [nHeads, headDim, dState] = hBefore.shape;
      const shape = headDim === 1 ? `${nHeads} channels` : `${nHeads} heads of ${headDim} channels`;
      this.#heading(`layer ${layer}: ${mixer}, ${shape}, ${dState} states each`);
      this.#ssm(summariseSsm(event), mixer, inDetail);
    }
    if (event.kind === 'attention') {
      this.#heading(`layer ${event.layer}: attention, what each head looks at`);
      for (const { head, lookedAt } of summariseAttention(event).heads) {
        const parts = lookedAt.map(
          ({ position, weight }) => `${this.#at(position)} ${percent(weight)}`,
        );
        this.#line(`  head ${String(head).padEnd(3)} ${parts.join(', ')}`);
      }
    }
    if (event.kind === 'sampler') this.#sampler(summariseSampler(event), event.position);
  }

  #ssm(summary: SsmSummary, mixer: string, inDetail: boolean): void {
    const { dt, halfLife, before, kept, forgotten, written, after, read, gate } = summary;
    if (mixer !== 'discreteMamba2')
      this.#line(`  Δ          ${range(dt)}  (a large Δ forgets and writes)`);
    this.#line(`  half-life  ${range(halfLife)}  tokens, at this Δ`);
    this.#line(`             ${histogram(summary.halfLifeCounts)}`);
    const share =
      before > 0 ? ` (kept ${short(kept)}, forgot ${short(forgotten)})` : ' (empty before)';
    this.#line(`  state      |h| ${short(before)} → ${short(after)}${share}`);
    this.#line(
      `  written    ${mixer === 'discreteMamba2' ? '|B·x|' : '|Δ·B·x|'} ${short(written)}`,
    );
    this.#line(`  read       |C·h| ${short(read)}`);
    this.#line(`  gate       silu(z) ${range(gate)}`);
    if (!inDetail) return;
    const rows = summary.busiest.map((head) => [
      String(head.head),
      short(head.dt),
      short(head.halfLife.min),
      short(head.halfLife.max),
      short(head.before),
      short(head.kept),
      short(head.written),
      short(head.after),
    ]);
    const titles = [
      '  most written into',
      'Δ',
      'half-life from',
      'to',
      '|h| before',
      'kept',
      'written',
      'after',
    ];
    const indented = rows.map(([head, ...rest]) => [`  ${head}`, ...rest]);
    this.#line();
    this.#line(formatTable([titles, ...indented]));
  }

  #sampler({ u, token, kept, candidates }: SamplerSummary, position: number): void {
    const drawn = u === undefined ? 'the likeliest is taken' : `u = ${u.toFixed(6)} falls on`;
    this.#heading(
      `next token: ${kept} of ${this.#loaded.config.vocabSize} left, ${drawn} ${this.#text(token, position)}`,
    );
    const rows = candidates.map((candidate) => {
      const mark = candidate.token === token ? '→' : ' ';
      const cumulative = u === undefined ? '' : candidate.cumulative.toFixed(6);
      const { probability, filtered } = candidate;
      return [
        `  ${mark} ${this.#text(candidate.token, position)}`,
        percent(probability),
        percent(filtered),
        cumulative,
      ];
    });
    const titles = [
      '  token',
      'model',
      'after options',
      u === undefined ? '' : 'cumulative, by id',
    ];
    this.#line(formatTable([titles, ...rows]));
  }
}

/** Three significant digits, at most: 0.00123, 4.56, 1.2e+4, ∞. */
function short(x: number): string {
  if (x === Number.POSITIVE_INFINITY) return '∞';
  if (x === 0) return '0';
  const size = Math.abs(x);
  return size >= 0.001 && size < 10000 ? Number(x.toPrecision(3)).toString() : x.toExponential(1);
}

function range({ min, median, max }: Spread): string {
  return `${short(min)} … ${short(median)} … ${short(max)}`;
}

function percent(p: number): string {
  return p === 0 ? '–' : `${(100 * p).toFixed(p < 0.001 ? 3 : 1)} %`;
}

/** How many states have which half-life: `<1 ▁  <4 ▃  …`. */
function histogram(counts: readonly number[]): string {
  const bars = '▁▂▃▄▅▆▇█';
  const total = counts.reduce((sum, n) => sum + n, 0);
  const labels = [...HALF_LIFE_CLASSES.map((end) => `<${end}`), `≥${HALF_LIFE_CLASSES.at(-1)}`];
  return counts
    .map((n, i) => {
      const bar =
        n === 0 ? '·' : bars[Math.min(bars.length - 1, Math.floor((n / total) * bars.length))];
      return `${labels[i]} ${bar} ${Math.round((100 * n) / total)} %`;
    })
    .join('   ');
}
