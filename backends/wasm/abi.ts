/**
 * What the kernels and their caller agree on: where things lie in memory. Compiled by both, TypeScript and
 * AssemblyScript, so nothing but numbers stands here.
 *
 * A program is a list of steps. A step is STEP_WORDS words: the kernel, ROWS, and then the parameters of the kernel in
 * the order of its signature. A call says which tokens of which sequences a program works on; programs stay, calls
 * change. Addresses and counts are u32, everything else f32.
 */

/** Words of a step. */
export const STEP_WORDS = 64;
/** Word of a step that says which rows it works on: every token, or the last token of each sequence. */
export const STEP_ROWS = 1;
export const STEP_FIRST_PARAMETER = 2;
export const ROWS_TOKENS = 0;
export const ROWS_LAST = 1;

/** Words of a call. */
export const CALL_TOKENS = 0; // how many
export const CALL_IDS = 1; // address of their ids
export const CALL_POSITIONS = 2; // address of their positions in their sequences
export const CALL_SEGMENT_OF = 3; // address of the segment of each
export const CALL_SEGMENTS = 4; // how many runs of tokens of one sequence
export const CALL_SEGMENT_TABLE = 5; // address of the segments
export const CALL_LAST = 6; // how many logits are wanted
export const CALL_LAST_OF = 7; // address of the tokens after which they are wanted
export const CALL_WORDS = 8;

/** Words of a segment: neighbouring tokens of one sequence. */
export const SEGMENT_BEGIN = 0; // first token
export const SEGMENT_COUNT = 1;
export const SEGMENT_POSITION = 2; // of its first token in the sequence
export const SEGMENT_STATE = 3; // address of the sequence's state of fixed size
export const SEGMENT_PAGES = 4; // address of the addresses of its cache's pages
export const SEGMENT_WORDS = 8;

/** Tokens of a page of a cache. */
export const PAGE_TOKENS = 16;

/** Outputs of a panel of a packed matrix, and numbers to which rows of buffers are padded. */
export const PANEL = 8;
/** Numbers of a row that share a scale in 8-bit matrices. */
export const BLOCK = 32;

/** Words of the team's control block. */
export const TEAM_COMMAND = 0; // counts commands
export const TEAM_PROGRAM = 1; // address; 0 ends the workers
export const TEAM_STEPS = 2;
export const TEAM_CALL = 3;
export const TEAM_ARRIVED = 4; // threads that wait at the barrier
export const TEAM_BARRIERS = 5; // counts barriers
export const TEAM_SLEEPERS = 6; // threads that wait for a word to change
export const TEAM_LOST = 7; // not 0 once a thread has failed
export const TEAM_TICKETS = 16; // items of the present step that threads have taken; on a cache line of its own
export const TEAM_WORDS = 32;

/** Kernels by their number in a step. */
export const EMBEDDING = 1;
export const LINEAR = 2;
export const LINEAR_INT8 = 3;
export const QUANTISE = 4;
export const RMS_NORM = 5;
export const LAYER_NORM = 6;
export const GATED_RMS_NORM = 7;
export const GATE = 8;
export const REPEAT_COLUMNS = 9;
export const JOIN_COLUMNS = 10;
export const LAST_TOKENS = 11;
export const ROPE = 12;
export const CAUSAL_CONV = 13;
export const SELECTIVE_SCAN = 14;
export const HEADS = 15;
export const APPEND_TO_CACHE = 16;
export const ATTENTION = 17;
export const POINTWISE = 18;
export const SOFTMAX = 19;
export const CHOOSE = 20;
export const EMBEDDING_INT8 = 21;

/** Flags of HEADS. */
export const HEADS_SOFTPLUS = 1;
export const HEADS_DISCRETE = 2;

/** Functions of POINTWISE; the last four are there to be measured. */
export const POINTWISE_SILU = 0;
export const POINTWISE_SIGMOID = 1;
export const POINTWISE_SOFTPLUS = 2;
export const POINTWISE_EXP = 3;
export const POINTWISE_EXP_NEGATIVE = 4;
export const POINTWISE_POWER = 5;
export const POINTWISE_ANY_POWER = 6;

/** Numbers of a draw of CHOOSE, float64: the first two are read, the others written. */
export const DRAW_TEMPERATURE = 0; // 0 takes the likeliest token, the first of equals
export const DRAW_U = 1; // uniform in [0, 1)
export const DRAW_TOKEN = 2; // −1 where a logit is not finite or no token is left, and then the next ones are not written
export const DRAW_LARGEST = 3; // largest logit of all vocabRows, written in any case
export const DRAW_LOGIT = 4; // the token's logit
export const DRAW_TOTAL = 5; // Σ e^(logit − largest) over vocabRows
export const DRAW_WEIGHT = 6; // Σ e^((logit − best)/temperature) over vocabSize; 1 at temperature 0
export const DRAW_BEST = 7; // largest logit of the vocabSize tokens, written in any case
export const DRAW_NUMBERS = 8;
/** Tokens whose weights are summed up together. */
export const VOCAB_BLOCK = 256;
