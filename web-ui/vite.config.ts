/// <reference types="vitest/config" />
import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/** The gateway that `npm run dev` talks to. */
const gateway = process.env.EDALAB_URL ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [react(), tailwindcss()],
  resolve: { alias: { '@': '/src' } },
  build: {
    target: 'es2022',
    // `cargo xtask` builds beside what is served, and puts it in its place when it is done.
    outDir: process.env.EDALAB_DIST ?? 'dist',
    // The page's policy has no data: for fonts and scripts, so nothing is inlined.
    assetsInlineLimit: 0,
    // The polyfill would be an inline script; every browser of the target has modulepreload.
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: {
      '/api': { target: gateway },
      '/ws': { target: gateway.replace(/^http/, 'ws'), ws: true },
    },
  },
  test: {
    environment: 'jsdom',
    setupFiles: ['src/test/setup.ts'],
    include: ['src/**/*.test.{ts,tsx}'],
    restoreMocks: true,
    // The machine may be busy with something else.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
