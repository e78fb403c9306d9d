// TypeScript types from the gateway's OpenAPI document (docs/openapi/gateway.json), which comes from
// the Rust handlers themselves and holds the simulator's and bancaire's too. `npm run types` writes
// them; a unit test compares.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import openapiTS, { astToString } from 'openapi-typescript';

export const TYPES = fileURLToPath(new URL('../src/lib/openapi.ts', import.meta.url));

export async function generate() {
  const document = readFileSync(new URL('../../docs/openapi/gateway.json', import.meta.url), 'utf8');
  const types = astToString(await openapiTS(JSON.parse(document), { defaultNonNullable: false, emptyObjectsUnknown: true }));
  return `// Generated from docs/openapi/gateway.json: npm run types\n\n${types}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(TYPES, await generate());
}
