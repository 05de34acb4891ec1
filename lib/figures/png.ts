/** SVG figures as PNG, by resvg in WASM with the bundled font: no browser, no fonts of the machine. */

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { ConfigError } from '../../reference/errors.ts';
import { bundled } from '../bundled.ts';

const FONT_FILE = 'fixtures/fonts/DejaVuSans.ttf';

type Resvg = typeof import('@resvg/resvg-wasm').Resvg;

let loading: Promise<{ Resvg: Resvg; font: Uint8Array }> | undefined;

async function load(): Promise<{ Resvg: Resvg; font: Uint8Array }> {
  const { initWasm, Resvg } = await import('@resvg/resvg-wasm');
  const wasm = createRequire(import.meta.url).resolve('@resvg/resvg-wasm/index_bg.wasm');
  const [code, font] = await Promise.all([readFile(wasm), readFile(bundled(FONT_FILE))]);
  try {
    await initWasm(code);
  } catch (error) {
    // another part of the program was first: what is there serves
    if (!String(error).includes('Already initialized')) throw error;
  }
  return { Resvg, font: new Uint8Array(font) };
}

/**
 * An SVG document as a PNG file. What its text needs beyond DejaVu Sans is drawn as a box.
 *
 * @param options.scale pixels of the PNG for one of the SVG; default 2.
 * @throws ConfigError for a text that is no SVG document, or a scale that is not above 0 and at most 8.
 */
export async function svgToPng(
  svg: string,
  { scale = 2 }: { scale?: number } = {},
): Promise<Uint8Array> {
  if (!(scale > 0 && scale <= 8)) {
    throw new ConfigError(`svgToPng: expected a scale above 0 and at most 8, got ${scale}`);
  }
  loading ??= load().catch((error) => {
    loading = undefined;
    throw error;
  });
  const { Resvg, font } = await loading;
  let image: InstanceType<Resvg>;
  try {
    image = new Resvg(svg, {
      fitTo: { mode: 'zoom', value: scale },
      font: { fontBuffers: [font], defaultFontFamily: 'DejaVu Sans' },
    });
  } catch (error) {
    throw new ConfigError(`svgToPng: expected an SVG document: ${error}`, 'NotDrawable');
  }
  try {
    const rendered = image.render();
    try {
      return rendered.asPng();
    } finally {
      rendered.free();
    }
  } finally {
    image.free();
  }
}
