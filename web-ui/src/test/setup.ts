/** What jsdom lacks and the page leans on. */

import '@testing-library/jest-dom/vitest';

import { cleanup, configure } from '@testing-library/react';
import { afterEach } from 'vitest';

afterEach(cleanup);
// What is waited for comes at once; only a busy machine takes longer than a second.
configure({ asyncUtilTimeout: 20_000 });

// A test of files alone runs without a document.
if (typeof window !== 'undefined') Object.assign(window, {
  matchMedia: (query: string) => ({
    matches: false,
    media: query,
    addEventListener: () => undefined,
    removeEventListener: () => undefined,
  }),
  // React Flow measures its nodes; in jsdom nothing has a size.
  ResizeObserver: class {
    observe(): void {}
    unobserve(): void {}
    disconnect(): void {}
  },
});
