/** A model in the memory of the kernels: its weights, programs and buffers, and the sequences that it decodes. */

import type { Plan, PlanStep } from '../plan.ts';
import { assignRegisters } from '../registers.ts';
import type { Draw, Drawn, PlannedModel } from '../types.ts';
import * as abi from './abi.ts';
import { BLOCK_TOKENS, CallBlock, type Work } from './calls.ts';
import { DRAW_BYTES, drawnFrom, writeDraws } from './draws.ts';
import type { Kernels } from './kernels.ts';
import { Matrices } from './matrices.ts';
import { strideOf } from './packing.ts';
import { type KernelStep, kernelSteps, type Places, writeSteps } from './program.ts';
import { Rotations } from './rotations.ts';
import { attentionScratch, choiceScratch, linearScratch } from './scratch.ts';
import { SequenceStore } from './sequences.ts';
import { SLACK, WeightStore } from './weights.ts';

/** Multiply-adds of a step from which its share among threads is worth their meeting (some microseconds). */
const WORTH_SHARING = 50_000;
/** Tokens of context that there is scratch memory and a table of rotations for at first. */
const FIRST_CONTEXT = 512;

/** A plan in memory. */
interface Program {
  readonly address: number;
  readonly steps: number;
  /** Multiply-adds with weights, of one token. */
  readonly macs: number;
}

export class Runner {
  readonly sequences: SequenceStore;
  readonly #kernels: Kernels;
  readonly #model: PlannedModel;
  readonly #matrices: Matrices;
  readonly #call: CallBlock;
  readonly #buffers = new Map<string, number>();
  readonly #rotations: Rotations;
  readonly #draws: number;
  #context = FIRST_CONTEXT;
  #scratch = { address: 0, perThread: 0 };
  #programs: { prefill: Program; step: Program };
  /** Whose logits are in memory. */
  #latest: Plan['kind'] = 'step';
  /** What is freed with the model. */
  readonly #owned: { address: number; bytes: number }[] = [];

  constructor(kernels: Kernels, model: PlannedModel, isInt8: boolean) {
    this.#kernels = kernels;
    this.#model = model;
    const { memory } = kernels;
    const weights = new WeightStore(memory, model.weight);
    this.sequences = new SequenceStore(memory, model.step.state, model.step.steps);
    this.#call = new CallBlock(memory);
    this.#draws = this.#own(BLOCK_TOKENS * DRAW_BYTES);
    this.#rotations = new Rotations(memory);
    this.#matrices = new Matrices(kernels, weights, isInt8, model.step);
    this.#programs = {
      prefill: this.#newProgram(model.prefill),
      step: this.#newProgram(model.step),
    };
    this.#write();
  }

  /** Takes in tokens; the logits of the ended entries of the work are then at {@link logits}. */
  prefill(work: readonly Work[], ended: readonly number[]): void {
    this.#run('prefill', work, ended, false);
  }

  /** Gives each sequence a token; their logits are then at {@link logits}, or drawn from. */
  step(work: readonly Work[], draws: boolean): void {
    this.#run('step', work, [], draws);
  }

  /** A copy of the logits of a row of the last call. */
  logits(row: number): Float32Array {
    const { vocabRows } = this.#model.config;
    const at = (this.#buffer(this.#latest, 'logits') + 4 * row * strideOf(vocabRows)) / 4;
    return this.#kernels.memory.f32.slice(at, at + vocabRows);
  }

  /** Says how the tokens of the next call are to be drawn. */
  prepareDraws(draws: readonly Draw[]): void {
    writeDraws(this.#kernels.memory, this.#draws, draws);
  }

  /** What the last call drew. */
  drawn(draws: readonly Draw[]): Drawn[] {
    return drawnFrom(this.#kernels.memory, this.#draws, draws);
  }

  /** More sequences of so many tokens that there is memory for. */
  room(tokens: number, shared: number): number {
    const bytes = this.sequences.bytesFor(tokens, shared);
    return Math.floor(this.#kernels.memory.available / bytes);
  }

  dispose(): void {
    for (const { address, bytes } of this.#owned) this.#kernels.memory.free(address, bytes);
    const { address, perThread } = this.#scratch;
    this.#kernels.memory.free(address, perThread * this.#kernels.threads);
    this.#rotations.free();
    this.#matrices.weights.free();
    this.#call.free();
  }

  #run(kind: Plan['kind'], work: readonly Work[], ended: readonly number[], draws: boolean): void {
    const { threads } = this.#kernels;
    const program = this.#programs[kind];
    let [tokens, longest] = [0, 0];
    for (const { sequence, tokens: own } of work) {
      tokens += own.length;
      longest = Math.max(longest, sequence.position + own.length);
    }
    if (longest > this.#context) this.#growContext(longest);
    this.#call.write(work, ended);
    // the last step draws; it is left out where nothing is to be drawn
    const steps = draws || kind === 'prefill' ? program.steps : program.steps - 1;
    const isWorthIt =
      program.macs * tokens > (this.#kernels.alwaysShares ? 0 : WORTH_SHARING) * program.steps;
    this.#kernels.run(program.address, steps, this.#call.address, isWorthIt ? threads : 1);
    for (const { sequence, tokens: own } of work) sequence.position += own.length;
    this.#latest = kind;
  }

  #newProgram(plan: Plan): Program {
    const registers = assignRegisters(plan);
    for (const { y } of plan.steps) this.#addBuffer(plan, y.buffer, y.width, registers);
    const steps = this.#stepsOf(plan);
    const address = this.#own(4 * abi.STEP_WORDS * steps.length);
    const shapes = plan.steps.filter(({ op }) => op === 'linear') as Extract<
      PlanStep,
      { op: 'linear' }
    >[];
    const macs = shapes.reduce((sum, { inputs, y }) => sum + inputs.x.width * y.width, 0);
    return { address, steps: steps.length, macs };
  }

  /** Buffers of both plans share memory where their width and register are the same. */
  #addBuffer(plan: Plan, name: string, width: number, registers: Map<string, number>): void {
    const place = `${width} ${registers.get(name)}`;
    let address = this.#buffers.get(place);
    if (address === undefined) {
      address = this.#own(4 * BLOCK_TOKENS * strideOf(width) + SLACK);
      this.#buffers.set(place, address);
    }
    this.#buffers.set(`${plan.kind} ${name}`, address);
  }

  #buffer(kind: Plan['kind'], name: string): number {
    return this.#buffers.get(`${kind} ${name}`) as number;
  }

  #stepsOf(plan: Plan): KernelStep[] {
    const widths = new Map(plan.steps.map(({ y }) => [y.buffer, y.width]));
    const places: Places = {
      weights: this.#matrices.weights,
      buffer: (name) => this.#buffer(plan.kind, name),
      stride: (name) => strideOf(widths.get(name) as number),
      offset: (slot) => this.sequences.offsetOf(slot),
      rotations: (frequencies) => this.#rotations.tableFor(frequencies, this.#context),
      scratch: () => this.#scratch,
      linear: (step, rows) => this.#matrices.linear(step, rows, places),
      embedding: (step) => this.#matrices.embedding(step, places),
    };
    const steps = kernelSteps(plan, places);
    if (plan.kind === 'prefill') return steps;
    const { vocabSize, vocabRows } = this.#model.config;
    const scratch = [this.#scratch.address, this.#scratch.perThread];
    const logits = [places.buffer('logits'), places.stride('logits')];
    const parameters = [...logits, vocabSize, vocabRows, this.#draws, ...scratch, 0];
    return [...steps, { kernel: abi.CHOOSE, rows: abi.ROWS_TOKENS, parameters }];
  }

  /** Writes the programs, after something moved. */
  #write(): void {
    const { memory, threads } = this.#kernels;
    const ofSteps = this.#model.step.steps.map((step) => {
      if (step.op === 'linear') return linearScratch(BLOCK_TOKENS, step.inputs.x.width);
      return step.op === 'attentionStep' ? attentionScratch(step.attributes, this.#context) : 0;
    });
    const perThread = Math.max(...ofSteps, choiceScratch(this.#model.config.vocabRows));
    memory.free(this.#scratch.address, this.#scratch.perThread * threads);
    this.#scratch = { address: memory.allocate(perThread * threads), perThread };
    for (const kind of ['prefill', 'step'] as const) {
      const steps = this.#stepsOf(this.#model[kind]);
      writeSteps(steps, memory.u32, memory.f32, this.#programs[kind].address);
    }
  }

  #growContext(tokens: number): void {
    while (this.#context < tokens) this.#context *= 2;
    this.#write();
  }

  #own(bytes: number): number {
    const address = this.#kernels.memory.allocate(bytes);
    this.#owned.push({ address, bytes });
    return address;
  }
}
