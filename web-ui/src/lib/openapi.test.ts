// @vitest-environment node
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

import { generate, TYPES } from '../../scripts/generate-types.mjs';

it('the generated types are those of the gateway’s OpenAPI document', async () => {
  expect(readFileSync(TYPES, 'utf8'), 'run npm run types').toBe(await generate());
});
