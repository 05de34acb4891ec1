/** Files of a model from an input element, and what the model writes, token by token. */

import { generate, loadModel } from 'selscan';

function element<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new Error(`index.html: expected a ${kind.name} with id ${id}`);
}

const input = element('files', HTMLInputElement);
const status = element('status', HTMLElement);
const text = element('text', HTMLElement);

/** Lets the page paint what it shows so far. */
const painted = () => new Promise((resolve) => setTimeout(resolve));

async function write(files: File[]): Promise<void> {
  text.textContent = '';
  const model = await loadModel(files, {
    onProgress: ({ loaded, total }) => {
      status.textContent = `reading: ${Math.floor((100 * loaded) / total)} %`;
    },
  });
  status.textContent = 'writing';
  for await (const event of generate(model, [''], { maxTokens: 60, temperature: 0 })) {
    if (event.kind === 'token') text.textContent += event.text;
    if (event.kind === 'end') text.textContent += event.rest;
    await painted();
  }
  status.textContent = 'done';
}

input.addEventListener('change', async () => {
  if (!input.files?.length) return;
  input.disabled = true;
  try {
    await write(Array.from(input.files));
  } catch (error) {
    status.textContent = error instanceof Error ? error.message : String(error);
  } finally {
    input.disabled = false;
  }
});
