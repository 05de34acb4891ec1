/** The errors of the whole library: one base class, a stable code for programs, one line for people. */

/**
 * What every error thrown on purpose by selscan is.
 *
 * The message has the form `who: expected …, got …; what to do`, fits on one line and ends without a
 * full stop. Match on `code`, never on the message.
 */
export class SelscanError extends Error {
  /** Stable and safe to match on, e.g. `'Shape'`, `'Truncated'`, `'PromptTooLong'`. */
  readonly code: string;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** A tensor has the wrong rank, size or precision. Code `Shape`. */
export class ShapeError extends SelscanError {
  constructor(message: string) {
    super('Shape', message);
  }
}

/**
 * A value that the caller chose is out of its range or does not fit the others: a model dimension, a
 * sampling option, a token id, a prompt. Code `Option` unless a more telling one is given.
 */
export class ConfigError extends SelscanError {
  constructor(message: string, code = 'Option') {
    super(code, message);
  }
}

/** Something that exists elsewhere but not here: an option, an op, a feature. Code `Unsupported`. */
export class UnsupportedError extends SelscanError {
  constructor(message: string, code = 'Unsupported') {
    super(code, message);
  }
}

/** A backend is absent, or is not the one that was asked for. Code `Backend` unless a more telling one is given. */
export class BackendError extends SelscanError {
  constructor(message: string, code = 'Backend') {
    super(code, message);
  }
}
