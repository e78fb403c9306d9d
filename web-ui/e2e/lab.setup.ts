/** The lab must be up before any test: says plainly when it is not. */

import type { FullConfig } from '@playwright/test';

const DEADLINE_MS = 30_000;

export default async function labIsUp(config: FullConfig): Promise<void> {
  const url = config.projects[0]?.use.baseURL ?? '';
  const deadline = Date.now() + DEADLINE_MS;
  let last = '';
  while (Date.now() < deadline) {
    try {
      const response = await fetch(`${url}/api/v1/health`, { signal: AbortSignal.timeout(5000) });
      const health = (await response.json()) as { status?: string };
      if (health.status === 'healthy') return;
      last = `its health is ${String(health.status)}`;
    } catch (error) {
      last = (error as Error).message;
    }
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  throw new Error(`No healthy lab at ${url} (${last}). Start one: cargo xtask up --detach; another address: EDALAB_URL=…`);
}
