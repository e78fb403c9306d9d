// The first load's JavaScript must stay below 250 kB gzip: what index.html names, and every script
// after it too, so that no view is heavy.
import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const LIMIT_KB = 250;
const dist = new URL(`../${process.env.EDALAB_DIST ?? 'dist'}/`, import.meta.url);
const folder = new URL('assets/', dist);
const html = readFileSync(new URL('index.html', dist), 'utf8');
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
