/** HTML whose every text is escaped: what a model wrote stays text, whatever it wrote. */

/** HTML that is one already. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Part = Html | string | number | undefined | readonly Part[];

/**
 * A template whose values are escaped, unless they are {@link Html} themselves. Lists are joined, undefined is nothing.
 *
 * @example
 * html`<p>${'<b>'}</p>`.text // → <p>&lt;b&gt;</p>
 */
export function html(strings: TemplateStringsArray, ...values: readonly Part[]): Html {
  const text = strings.map((string, i) => string + (i < values.length ? textOf(values[i]) : ''));
  return new Html(text.join(''));
}

function textOf(part: Part): string {
  if (part === undefined) return '';
  if (part instanceof Html) return part.text;
  if (typeof part === 'string' || typeof part === 'number') return escaped(String(part));
  return part.map(textOf).join('');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text for any place between tags or quotes; what no document may hold, and what turns the direction of text, is shown as �. */
function escaped(text: string): string {
  return text
    .replace(/[&<>"']/g, (sign) => ENTITIES[sign])
    .replace(
      /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufffe\uffff]|\p{Surrogate}/gu,
      '\ufffd',
    );
}
