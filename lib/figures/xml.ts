/** A tree of SVG elements as XML, the same bytes for the same tree. */

const GEOMETRY = /^(x|y|d[xy]?|[xy][12]|c[xy]|r|width|height|transform|viewBox)$/;
const ESCAPED: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

const escaped = (text: string) => text.replace(/[&<>"]/g, (character) => ESCAPED[character]);

/** Hundredths of a pixel: the last digits of a logarithm are the engine's choice. */
const rounded = (value: string) =>
  value.replace(/-?\d+\.\d+(e[-+]?\d+)?/g, (number) => String(Math.round(+number * 100) / 100));

export function toXml(node: Node): string {
  if (node.nodeType === 3) return escaped(node.nodeValue ?? '');
  const { localName, attributes, childNodes } = node as Element;
  // linkedom puts each new attribute before the others
  const pairs = [...attributes].reverse().map(({ name, value }) => {
    const shown = GEOMETRY.test(name) ? rounded(value) : value;
    return ` ${name}="${escaped(shown)}"`;
  });
  const inside = [...childNodes].map(toXml).join('');
  const open = `<${localName}${pairs.join('')}`;
  return inside === '' ? `${open}/>` : `${open}>${inside}</${localName}>`;
}
