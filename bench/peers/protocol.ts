/** What is said between the process that measures and the processes that compute. */

/** How matrices are stored: ours calls them float32 and int8, llama.cpp F32 and Q8_0. */
export type Dtype = 'f32' | 'int8';

/** One line-up: a contestant is started anew for every one of them. */
export interface Cell {
  /** A name of REAL_MODELS. */
  readonly model: string;
  /** Only so many of its layers, the last ones; all of them when absent. */
  readonly layers?: number;
  readonly dtype: Dtype;
  readonly threads: number;
  /** Sequences that decode in lockstep. */
  readonly batch: number;
  /** Tokens that a sequence must have room for. */
  readonly context: number;
  /** Tokens that llama.cpp takes in at once, for which it keeps buffers; its own default when absent. */
  readonly batchTokens?: number;
}

/** What a contestant's process is to open. */
export interface Entry {
  readonly who: Who;
  readonly cell: Cell;
  /** The model's file, for llama.cpp. */
  readonly file: string;
  /** Of ours: a name that openBackend knows, or `reference`. */
  readonly backend: string;
}

export type Who = 'ours' | 'llama.cpp';

/** One side of a match, whatever computes. */
export interface Contestant {
  /** What really runs, in words. */
  readonly info: string;
  /**
   * Logits of each sequence after its prompt and after each of the tokens that follow, all sequences in lockstep.
   * Forgets the sequences afterwards.
   */
  logits(
    prompts: readonly (readonly number[])[],
    tokens: readonly (readonly number[])[],
  ): Promise<Float32Array[][]>;
  /** Takes in a prompt for every sequence; what was there before is forgotten. */
  start(prompts: readonly (readonly number[])[]): Promise<void>;
  /** Decodes so many tokens of every sequence, always the likeliest. Returns the last of each. */
  decode(steps: number): Promise<number[]>;
  /** Takes in a prompt and chooses its next token; forgets it. */
  prefill(prompt: readonly number[]): Promise<void>;
  close(): Promise<void>;
}

/** What a process can be asked. */
export type Request =
  | { readonly ask: 'open'; readonly entry: Entry }
  | { readonly ask: 'logits'; readonly prompts: number[][]; readonly tokens: number[][] }
  | { readonly ask: 'start'; readonly prompts: number[][] }
  | { readonly ask: 'decode'; readonly steps: number }
  | { readonly ask: 'prefill'; readonly prompt: number[] }
  | { readonly ask: 'memory' }
  | { readonly ask: 'version' }
  | { readonly ask: 'ceiling'; readonly what: Ceiling; readonly seconds: number }
  | { readonly ask: 'close' };

/** What a request is answered with. */
export interface Answers {
  open: { readonly info: string; readonly node: string };
  logits: Float32Array[][];
  start: undefined;
  /** Wall time, and CPU time of all threads. */
  decode: { readonly ms: number; readonly cpuMs: number; readonly tokens: number[] };
  prefill: { readonly ms: number; readonly cpuMs: number };
  memory: { readonly peakBytes: number };
  /** Of the Node that it runs on. */
  version: { readonly node: string };
  /** Bytes or operations a second; undefined where this Node has no such instruction. */
  ceiling: number | undefined;
  close: undefined;
}

export type Ask = Request['ask'];

/** What of the machine is measured: reading memory, and arithmetic of 128-bit vectors. */
export type Ceiling = 'read' | 'multiplyThenAdd' | 'fusedMultiplyAdd';

/** A reply, by the number of its request. */
export type Reply =
  | { readonly id: number; readonly answer: Answers[Ask] }
  | { readonly id: number; readonly error: string };
