/** Pictures of every view, for people to look at: target/edalab/screenshots/. */

import { expect, test, type Page } from '@playwright/test';

import { openPage, startSimulation, stopSimulation } from './page';

const FOLDER = '../target/edalab/screenshots';
const VIEWS = ['events', 'kafka', 'accounts', 'ledger', 'dead-letters', 'break', 'guide/offset'];

/** A picture shows a page that has its figures and its curves. */
async function settle(page: Page): Promise<void> {
  await expect(page.getByRole('heading', { level: 1 }).first()).toBeAttached();
  await expect(page.getByText(/^(Loading|Chargement)$/)).toHaveCount(0);
  await page.waitForFunction(() => document.fonts.status === 'loaded');
}

test.beforeAll(async ({ request }) => {
  await request.post('/api/v1/events/poison', { data: { topic: 'bancaire.depot.effectue', kind: 'bad_magic', count: 3 } });
  await startSimulation(request, 14, 0);
});
test.afterAll(async ({ request }) => {
  await stopSimulation(request);
});

test('flow, wide, once its curves are drawn', async ({ page, request }) => {
  await openPage(page);
  // The curves need some seconds of history; the simulation's own counter tells them.
  const elapsed = async () => ((await (await request.get('/api/v1/simulation/status')).json()) as { elapsed_seconds: number }).elapsed_seconds;
  const from = await elapsed();
  await expect.poll(elapsed, { timeout: 40_000 }).toBeGreaterThan(from + 20);
  await page.screenshot({ path: `${FOLDER}/flow-1280.png` });
  await page.getByTestId('node-bancaire').click();
  await expect(page.getByRole('dialog')).toBeVisible();
  await page.screenshot({ path: `${FOLDER}/node-1280.png` });
});

test('every view, wide', async ({ page }) => {
  await openPage(page);
  for (const view of VIEWS) {
    await page.getByRole('navigation').locator(`a[href="/${view.split('/')[0] ?? ''}"]`).click();
    if (view.includes('/')) await page.goto(`/${view}`);
    await settle(page);
    if (view === 'events') await expect(page.getByTestId('event-row').nth(20)).toBeVisible();
    if (view === 'accounts') await expect(page.getByTestId('account-row').first()).toBeVisible();
    await page.screenshot({ path: `${FOLDER}/${view.replace('/', '-')}-1280.png` });
  }
});

test('details: an event, an account, a dead letter', async ({ page }) => {
  await openPage(page, '/events');
  await page.getByRole('button', { name: 'Pause' }).click({ trial: true });
  await page.getByTestId('event-row').filter({ hasText: 'DepotEffectue' }).first().click();
  await expect(page.getByTestId('event-detail')).toBeVisible();
  await page.screenshot({ path: `${FOLDER}/event-1280.png` });
  await page.getByTestId('follow').click();
  await expect(page.getByTestId('transaction-row').first()).toBeVisible();
  await page.screenshot({ path: `${FOLDER}/account-1280.png` });
  await page.goto('/dead-letters');
  await page.getByTestId('dead-letter-row').first().click();
  await expect(page.getByTestId('dead-letter-detail')).toBeVisible();
  await page.screenshot({ path: `${FOLDER}/dead-letter-1280.png` });
});

test('dark, French, 4K, phone', async ({ page, browser, baseURL }) => {
  test.slow();
  await openPage(page, '/', { theme: 'dark' });
  await expect(page.getByTestId('metric-messages')).toBeVisible();
  await expect(page.getByTestId('edge-simulator-kafka')).toHaveAttribute('data-moving', 'true');
  await page.screenshot({ path: `${FOLDER}/flow-dark.png` });
  const kinds = {
    'flow-fr': { path: '/', settings: { language: 'fr' }, viewport: { width: 1280, height: 720 } },
    'ledger-dark': { path: '/ledger', settings: { theme: 'dark' }, viewport: { width: 1280, height: 720 } },
    'break-fr': { path: '/break', settings: { language: 'fr' }, viewport: { width: 1280, height: 720 } },
    'flow-4k': { path: '/', settings: {}, viewport: { width: 3840, height: 2160 } },
    'events-4k': { path: '/events', settings: {}, viewport: { width: 3840, height: 2160 } },
    'flow-phone': { path: '/', settings: {}, viewport: { width: 390, height: 844 } },
    'events-phone': { path: '/events', settings: { theme: 'dark' }, viewport: { width: 390, height: 844 } },
    'ledger-phone': { path: '/ledger', settings: {}, viewport: { width: 390, height: 844 } },
    'accounts-phone': { path: '/accounts', settings: {}, viewport: { width: 390, height: 844 } },
    'break-phone': { path: '/break', settings: {}, viewport: { width: 390, height: 844 } },
    'tour': { path: '/', settings: { tourSeen: false }, viewport: { width: 1280, height: 720 } },
  };
  for (const [name, { path, settings, viewport }] of Object.entries(kinds)) {
    const context = await browser.newContext({ viewport, baseURL });
    const other = await context.newPage();
    await openPage(other, path, settings);
    await settle(other);
    if (path === '/') await expect(other.getByTestId('edge-simulator-kafka')).toHaveAttribute('data-moving', 'true');
    await other.screenshot({ path: `${FOLDER}/${name}.png` });
    if (name === 'flow-phone') {
      await other.screenshot({ path: `${FOLDER}/${name}-full.png`, fullPage: true });
      await other.getByTestId('menu').click();
      await expect(other.getByRole('dialog')).toBeVisible();
      await other.screenshot({ path: `${FOLDER}/menu-phone.png` });
    }
    await context.close();
  }
});

test('a thousand a second, and bancaire away', async ({ page, request }) => {
  await openPage(page);
  await request.patch('/api/v1/simulation', { data: { rate: 1000 } });
  await expect(page.getByTestId('edge-simulator-kafka')).toHaveAttribute('data-aggregated', 'true');
  await expect(page.getByTestId('edge-bancaire-postgres')).toHaveAttribute('data-aggregated', 'true');
  await page.screenshot({ path: `${FOLDER}/flow-aggregated.png` });
  await request.patch('/api/v1/simulation', { data: { rate: 14 } });
});
