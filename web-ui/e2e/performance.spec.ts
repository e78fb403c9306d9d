/**
 * How the page bears load, measured in the browser itself: long tasks, heap, and the page's share of
 * a core. The figures go to a file; `cargo xtask perf ui` runs this and judges them.
 */

import { mkdirSync, writeFileSync } from 'node:fs';

import { expect, test, type CDPSession, type Page } from '@playwright/test';

import { openPage, startSimulation, stopSimulation } from './page';

const OUT = process.env.EDALAB_PERF_OUT ?? '../target/edalab/perf-ui.json';
const SECONDS = Number(process.env.EDALAB_PERF_SECONDS ?? 60);

// Recording the page would be most of what is measured.
test.use({ trace: 'off', screenshot: 'off' });

interface Load {
  rate: number;
  seconds: number;
  longest_task_ms: number;
  /** The same in the thread's own time, of a while of its own. */
  longest_own_ms: number;
  long_tasks: number;
  frames_per_second: number;
  longest_frame_gap_ms: number;
  heap_start_mb: number;
  heap_end_mb: number;
  cpu_share: number;
}

/** What is read of an entry of Chromium's trace; durations in microseconds. */
interface TraceEvent {
  name: string;
  pid: number;
  tid: number;
  tdur?: number;
  args?: { name?: string };
}

/** The main thread's busy time so far, in seconds. */
async function busySeconds(session: CDPSession): Promise<number> {
  const { metrics } = await session.send('Performance.getMetrics');
  return metrics.find(({ name }) => name === 'TaskDuration')?.value ?? 0;
}

async function heapMb(session: CDPSession): Promise<number> {
  await session.send('HeapProfiler.collectGarbage');
  const { metrics } = await session.send('Performance.getMetrics');
  return (metrics.find(({ name }) => name === 'JSHeapUsedSize')?.value ?? 0) / 1e6;
}

/** The longest that the main thread itself worked at one task, in milliseconds: by the clock a task also
 * lasts while other programs have the processor. Recorded apart from the rest, which it would slow down. */
async function longestOwnMs(page: Page, seconds: number): Promise<number> {
  const browser = page.context().browser();
  if (!browser) throw new Error('this page has no browser');
  const session = await browser.newBrowserCDPSession();
  const events: TraceEvent[] = [];
  session.on('Tracing.dataCollected', ({ value }) => events.push(...(value as unknown as TraceEvent[])));
  const complete = new Promise((resolve) => session.once('Tracing.tracingComplete', resolve));
  const includedCategories = ['toplevel', '__metadata'];
  await session.send('Tracing.start', { traceConfig: { includedCategories }, transferMode: 'ReportEvents' });
  await page.waitForTimeout(seconds * 1000);
  await session.send('Tracing.end');
  await complete;
  await session.detach();
  const isMain = ({ name, args }: TraceEvent) => name === 'thread_name' && args?.name === 'CrRendererMain';
  const thread = ({ pid, tid }: TraceEvent) => `${String(pid)}/${String(tid)}`;
  const main = new Set(events.filter(isMain).map(thread));
  const tasks = events.filter((event) => event.name.endsWith('RunTask') && main.has(thread(event)));
  expect(tasks.length, 'the main thread did something').toBeGreaterThan(0);
  return tasks.reduce((longest, { tdur }) => Math.max(longest, tdur ?? 0), 0) / 1000;
}

async function measure(page: Page, session: CDPSession, rate: number, seconds: number): Promise<Omit<Load, 'longest_own_ms'>> {
  const heapStart = await heapMb(session);
  const busyBefore = await busySeconds(session);
  const seen = await page.evaluate(async (ms) => {
    const tasks: number[] = [];
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) tasks.push(entry.duration);
    });
    observer.observe({ type: 'longtask' });
    let frames = 0;
    let gap = 0;
    const started = performance.now();
    await new Promise<void>((resolve) => {
      let last = started;
      const frame = (now: number) => {
        frames++;
        gap = Math.max(gap, now - last);
        last = now;
        if (now - started < ms) requestAnimationFrame(frame);
        else resolve();
      };
      requestAnimationFrame(frame);
    });
    observer.disconnect();
    return { tasks, frames, gap, ms: performance.now() - started };
  }, seconds * 1000);
  const busy = (await busySeconds(session)) - busyBefore;
  return {
    rate,
    seconds,
    longest_task_ms: Math.max(0, ...seen.tasks),
    long_tasks: seen.tasks.length,
    frames_per_second: (seen.frames * 1000) / seen.ms,
    longest_frame_gap_ms: seen.gap,
    heap_start_mb: heapStart,
    heap_end_mb: await heapMb(session),
    cpu_share: busy / (seen.ms / 1000),
  };
}

test('the page under 100 and under 1,000 events per second', async ({ page, request }) => {
  test.setTimeout((4 * SECONDS + 90) * 1000);
  const loaded = Date.now();
  await openPage(page);
  await expect(page.getByTestId('start').or(page.getByTestId('stop'))).toBeVisible();
  // Nothing is painted before the page's script has made it: then it can be used.
  const interactiveMs = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN);
  const session = await page.context().newCDPSession(page);
  // In the thread's own time: what other programs take from the machine is not the page's.
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  const loads: Load[] = [];
  for (const rate of [100, 1000]) {
    await startSimulation(request, rate, 0);
    await expect(page.getByTestId('edge-simulator-kafka')).toHaveAttribute('data-moving', 'true');
    // The first seconds fill the lists; the heap is compared after them.
    await measure(page, session, rate, Math.min(15, SECONDS / 3));
    const load = await measure(page, session, rate, SECONDS);
    loads.push({ ...load, longest_own_ms: await longestOwnMs(page, Math.min(15, SECONDS / 3)) });
    await stopSimulation(request);
  }
  mkdirSync('../target/edalab', { recursive: true });
  writeFileSync(OUT, `${JSON.stringify({ interactive_ms: interactiveMs, opened_ms: Date.now() - loaded, loads }, null, 2)}\n`);
});
