import { existsSync } from 'node:fs';

import { defineConfig } from '@playwright/test';

/** A lab that is already up: `cargo xtask test ui` starts one, or one starts it by hand. */
const baseURL = process.env.EDALAB_URL ?? 'http://127.0.0.1:8080';

/** Debian's Chromium; elsewhere name yours in CHROMIUM. */
const chromium = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path));

export default defineConfig({
  testDir: 'e2e',
  outputDir: '../target/edalab/playwright',
  globalSetup: './e2e/lab.setup.ts',
  // One lab for all: tests that break a part would spoil others beside them.
  workers: 1,
  // Deadlines, not waits: on a busy machine a part takes its time to start again.
  timeout: 240_000,
  expect: { timeout: 40_000 },
  // What measures is asked for by itself: `cargo xtask perf ui`.
  testIgnore: process.env.EDALAB_PERF === undefined ? ['**/performance.spec.ts'] : [],
  forbidOnly: Boolean(process.env.CI),
  reporter: [['list'], ['junit', { outputFile: process.env.EDALAB_JUNIT ?? '../target/edalab/junit-ui.xml' }]],
  use: {
    baseURL,
    browserName: 'chromium',
    locale: 'en-GB',
    viewport: { width: 1280, height: 720 },
    trace: 'retain-on-failure',
    screenshot: 'only-on-failure',
    launchOptions: {
      ...(chromium ? { executablePath: chromium } : {}),
      // Chromium's sandbox cannot be had by root, as in containers and CI.
      args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
    },
  },
});
