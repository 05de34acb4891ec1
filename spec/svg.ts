/** SVG documents as their readers see them. */

import { parseHTML } from 'linkedom';
import { svgToPng } from '../lib/figures/index.ts';
import type { LossCurve } from '../lib/train/savedRun.ts';

/** Its elements. resvg's parser is strict: it refuses what XML forbids. */
export async function parsed(svg: string): Promise<Element[]> {
  await svgToPng(svg, { scale: 0.1 });
  return elementsOf(svg);
}

/** The elements of a document, as a browser finds them. */
export function elementsOf(text: string): Element[] {
  const { document } = parseHTML(`<html><body>${text}</body></html>`) as unknown as {
    document: Document;
  };
  return [...document.body.querySelectorAll('*')];
}

/** What is written in it. */
export const texts = (elements: readonly Element[]) =>
  elements.filter(({ localName }) => localName === 'text').map((one) => one.textContent);

/** The places of the lines' corners in pixels, line by line. */
export function corners(svg: string): [x: number, y: number][][] {
  return [...svg.matchAll(/<g[^>]*aria-label="line"[^>]*><path d="M([^"]*)"/g)].map(([, path]) =>
    path.split('L').map((corner) => corner.replace('Z', '').split(',').map(Number)),
  ) as [number, number][][];
}

/** A loss for every step. */
export const curve = (n: number, loss: (i: number) => number): LossCurve =>
  Array.from({ length: n }, (_, i) => [i + 1, loss(i)]);
