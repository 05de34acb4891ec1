/**
 * Softplus of every case of a folder, as `node faultyProgram.mjs FAULT LOG IN OUT`. FAULT names what is wrong
 * with it: for a case that begins with 666, or for all where it begins with `every-`. The number of cases goes to
 * LOG.
 */

import { spawn } from 'node:child_process';
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';

const [fault, log, input, output] = process.argv.slice(2);
const names = readdirSync(input);
appendFileSync(log, `${names.length}\n`);
for (const name of names) {
  const { x, shape } = readX(`${input}/${name}`);
  const y = x.map((v) => (v > 20 ? v : Math.log1p(Math.exp(v))));
  const isBad = fault.startsWith('every-') || x[0] === 666;
  const answer = { name: 'out.softplus', shape };
  switch (isBad ? fault.replace('every-', '') : 'none') {
    case 'crash':
      throw new Error('no kernel \x1b[31mfor\x07 this');
    case 'exit':
      console.error('first\nsecond\nthird\nlast words');
      process.exitCode = 3;
      break;
    case 'kill':
      process.kill(process.pid, 'SIGKILL');
      break;
    case 'hang':
      console.error('waiting');
      spawn('sleep', ['600'], { stdio: 'inherit' });
      await new Promise(() => setInterval(() => {}, 1000));
      break;
    case 'missing':
      continue;
    case 'garbage':
      writeFileSync(`${output}/${name}`, 'garbage');
      continue;
    case 'shape':
      answer.shape = [...shape, 1];
      break;
    case 'name':
      answer.name = 'out.y';
      break;
    case 'talk':
      console.log('x'.repeat(1e6));
      console.error('chatter');
      break;
  }
  write(`${output}/${name}`, answer, y);
}

function readX(path) {
  const bytes = readFileSync(path);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const { shape, data_offsets } = JSON.parse(bytes.subarray(8, start))['in.x'];
  const [from, to] = data_offsets.map((offset) => bytes.byteOffset + start + offset);
  return { x: new Float64Array(bytes.buffer.slice(from, to)), shape };
}

function write(path, { name, shape }, y) {
  const entry = { dtype: 'F64', shape, data_offsets: [0, y.byteLength] };
  const header = Buffer.from(JSON.stringify({ [name]: entry }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeFileSync(path, Buffer.concat([length, header, Buffer.from(y.buffer)]));
}
