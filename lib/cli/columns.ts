/** Texts growing side by side, printed row by row as soon as every column has filled its part of the row. */

/** A column of text, wrapped to a width as it grows. */
class Column {
  readonly #width: number;
  #line = '';
  /** Lines that nothing can change any more. */
  readonly lines: string[] = [];
  isEnded = false;

  constructor(width: number) {
    this.#width = width;
  }

  push(text: string): void {
    for (const character of text) {
      if (character === '\n') this.#breakLine();
      else {
        this.#line += character;
        if ([...this.#line].length > this.#width) this.#wrap();
      }
    }
  }

  end(): void {
    if (this.#line.trim() !== '') this.#breakLine();
    this.isEnded = true;
  }

  #breakLine(): void {
    this.lines.push(this.#line.trim());
    this.#line = '';
  }

  /** Breaks an overfull line at its last space, or inside a word that fills it. */
  #wrap(): void {
    const characters = [...this.#line];
    const space = characters.lastIndexOf(' ');
    const cut = space > 0 ? space : this.#width;
    this.lines.push(characters.slice(0, cut).join('').trim());
    this.#line = characters.slice(cut).join('').trimStart();
  }
}

/** Columns side by side. Needs no cursor movement, so it looks the same in a terminal, a pipe and a log. */
export class Columns {
  readonly #columns: Column[];
  readonly #width: number;
  readonly #out: (row: string) => void;
  #printed = 0;

  constructor(count: number, totalWidth: number, out: (row: string) => void) {
    this.#width = Math.max(16, Math.floor((totalWidth - 3 * (count - 1)) / count));
    this.#columns = Array.from({ length: count }, () => new Column(this.#width));
    this.#out = out;
  }

  push(column: number, text: string): void {
    this.#columns[column].push(text);
    this.#printRows();
  }

  end(column: number): void {
    this.#columns[column].end();
    this.#printRows();
  }

  /** One row of cells, e.g. titles. */
  row(cells: readonly string[]): void {
    const padded = cells.map(
      (cell) => cell + ' '.repeat(Math.max(0, this.#width - [...cell].length)),
    );
    this.#out(padded.join(' │ ').trimEnd());
  }

  #printRows(): void {
    const has = (column: Column) => column.lines.length > this.#printed;
    while (
      this.#columns.every((column) => has(column) || column.isEnded) &&
      this.#columns.some(has)
    ) {
      this.row(this.#columns.map((column) => column.lines[this.#printed] ?? ''));
      this.#printed++;
    }
  }
}
