// The first load's JavaScript must stay below 250 kB gzip: what index.html names, and every script
// after it too, so that no view is heavy.
import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const LIMIT_KB = 250;
const folder = new URL('../dist/assets/', import.meta.url);
const html = readFileSync(new URL('../dist/index.html', import.meta.url), 'utf8');
let first = 0;
let total = 0;
for (const name of readdirSync(folder).filter((file) => file.endsWith('.js'))) {
  const size = gzipSync(readFileSync(new URL(name, folder))).length;
  total += size;
  if (html.includes(name)) first += size;
}
const kb = (bytes) => (bytes / 1024).toFixed(1);
console.log(`JavaScript, gzip: first load ${kb(first)} kB, all views ${kb(total)} kB (limit ${LIMIT_KB} kB)`);
if (total > LIMIT_KB * 1024) process.exit(1);
