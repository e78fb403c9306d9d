/** What a learner does: follow, balance, mend, break, look from two places, by keyboard. */

import { AxeBuilder } from '@axe-core/playwright';
import { expect, test } from '@playwright/test';

import { numberIn, openPage, startSimulation, stopSimulation } from './page';

test.beforeEach(async ({ request }) => {
  await stopSimulation(request);
});
test.afterEach(async ({ request }) => {
  await stopSimulation(request);
});

interface Ledger {
  balanced: boolean;
  totals: { in_flight: number | null; dead_lettered: number; duplicates: number };
}

test('an event is followed from the table into its account', async ({ page, request }) => {
  await openPage(page, '/events');
  await startSimulation(request, 10, 0);
  await page.getByLabel('Type', { exact: true }).selectOption({ label: 'DepotEffectue' });
  await page.getByTestId('event-row').filter({ hasText: 'DepotEffectue' }).first().click();
  const detail = page.getByTestId('event-detail');
  await expect(detail).toContainText('"montant"');
  await expect(detail).toContainText('ce_id');
  await expect(detail).toContainText('0x00 is the magic byte');
  const event = JSON.parse((await detail.getByLabel('Decoded event').textContent()) ?? '{}') as { montant: string; compte_id: string };
  await page.getByTestId('follow').click();
  await expect(page).toHaveURL(new RegExp(`/accounts/${event.compte_id}`));
  const row = page.locator('[data-testid="transaction-row"][data-followed="true"]');
  await expect(row).toBeVisible();
  await expect(row).toContainText('Deposit');
  await expect(row).toContainText(event.montant.split('.')[1] ?? '');
});

test('the ledger balances after a run', async ({ page, request }) => {
  await startSimulation(request, 50, 4);
  await openPage(page, '/ledger');
  await expect.poll(async () => ((await (await request.get('/api/v1/simulation/status')).json()) as { status: string }).status).toBe('stopped');
  await expect.poll(async () => ((await (await request.get('/api/v1/ledger')).json()) as Ledger).totals.in_flight).toBe(0);
  await expect(page.getByTestId('balanced')).toHaveAttribute('data-balanced', 'true');
  await expect(page.getByTestId('ledger-row')).toHaveCount(7);
  // Each figure of the equation is on the page; they add up.
  await expect
    .poll(async () => {
      const text = (await page.getByTestId('equation').textContent()) ?? '';
      const [produced = NaN, ...kinds] = (text.match(/\d[\d,]*/g) ?? []).map((figure) => Number(figure.replaceAll(',', '')));
      return { isSome: produced > 0, difference: produced - kinds.reduce((a, b) => a + b, 0), kinds: kinds.length };
    })
    .toEqual({ isSome: true, difference: 0, kinds: 6 });
});

test('a dead letter is mended, sent again and applied', async ({ page, request }) => {
  // An account for the mended event.
  const opened = (await (await request.post('/api/v1/events/produce', { data: { event_type: 'CompteOuvert', count: 1 } })).json()) as { event_ids: string[] };
  expect(opened.event_ids).toHaveLength(1);
  await openPage(page, '/break');
  await page.getByLabel('What is wrong').selectOption('bad_magic');
  await page.getByTestId('experiment-poison').getByLabel('Records').fill('1');
  await page.getByTestId('poison').click();
  await expect(page.getByTestId('experiment-poison')).toContainText('1 of 1 became dead letters');
  await page.getByRole('link', { name: 'Dead letters' }).first().click();
  await page.getByTestId('dead-letter-row').first().click();
  const detail = page.getByTestId('dead-letter-detail');
  await expect(detail).toContainText('magic byte');
  const accounts = (await (await request.get('/api/v1/bancaire/comptes?limit=1')).json()) as { comptes: { id: string }[] };
  const account = accounts.comptes[0]?.id ?? '';
  const mend = page.getByTestId('mend');
  const draft = JSON.parse(await mend.inputValue()) as Record<string, unknown>;
  // What is wrong is said, and cannot be sent.
  await mend.fill('{ "montant": ');
  await expect(detail).toContainText('Not JSON');
  await expect(page.getByTestId('replay-mended')).toBeDisabled();
  const reference = `MENDED-${String(Date.now())}`;
  await mend.fill(JSON.stringify({ ...draft, compte_id: account, montant: '12.34', reference }));
  await page.getByTestId('replay-mended').click();
  await expect(page.getByTestId('toast-good')).toContainText('Sent again');
  await page.getByTestId('dead-letter-detail').getByRole('link', { name: 'Follow into the account' }).click();
  const row = page.locator('[data-testid="transaction-row"][data-followed="true"]');
  await expect(row).toContainText(reference);
  await expect(row).toContainText('12.34');
});

test('a killed bancaire is shown red, and green again once it is back', async ({ page, request }) => {
  await startSimulation(request, 20, 0);
  await openPage(page, '/break');
  await expect(page.getByTestId('lab-refused')).toHaveCount(0);
  await page.getByTestId('kill').click();
  await page.getByRole('link', { name: 'Flow', exact: true }).click();
  const node = page.getByTestId('node-bancaire');
  await expect(node).toHaveAttribute('data-level', 'bad');
  // Events go on into Kafka; nothing moves behind it.
  await expect(page.getByTestId('edge-simulator-kafka')).toHaveAttribute('data-moving', 'true');
  await expect(page.getByTestId('edge-kafka-bancaire')).toHaveAttribute('data-moving', 'false');
  await page.screenshot({ path: '../target/edalab/screenshots/flow-bancaire-killed.png' });
  await page.getByRole('link', { name: 'Break it' }).click();
  await page.getByTestId('revive').click();
  await expect(page.getByTestId('experiment-kill').locator('[data-testid="observation"][data-seen="false"]')).toHaveCount(0, { timeout: 60_000 });
  await page.screenshot({ path: '../target/edalab/screenshots/break-healed.png' });
  await page.getByRole('link', { name: 'Flow', exact: true }).click();
  await expect(node).toHaveAttribute('data-level', 'good');
  await expect(page.getByTestId('edge-kafka-bancaire')).toHaveAttribute('data-moving', 'true');
});

test('duplicates are recognised', async ({ page, request }) => {
  await request.post('/api/v1/events/produce', { data: { event_type: 'DepotEffectue', count: 5 } });
  await openPage(page, '/break');
  await page.getByTestId('experiment-duplicate').getByLabel('Records').fill('5');
  await page.getByTestId('duplicate').click();
  await expect(page.getByTestId('experiment-duplicate')).toContainText('5 of 5 were recognised as duplicates');
});

test('two pages show the same lab at once', async ({ page, browser, baseURL, request }) => {
  const context = await browser.newContext({ baseURL });
  const other = await context.newPage();
  await openPage(page);
  await openPage(other);
  await page.getByLabel('Exact rate').fill('20');
  await page.getByLabel('Duration (seconds)').fill('0');
  await page.getByTestId('start').click();
  for (const one of [page, other]) {
    await expect(one.getByTestId('simulation-status')).toHaveAttribute('data-status', 'running');
    await expect(one.getByTestId('edge-simulator-kafka')).toHaveAttribute('data-moving', 'true');
  }
  await other.getByTestId('stop').click();
  await expect(page.getByTestId('simulation-status')).toHaveAttribute('data-status', 'stopped');
  await expect.poll(async () => ((await (await request.get('/api/v1/ledger')).json()) as Ledger).totals.in_flight).toBe(0);
  await expect.poll(async () => (await numberIn(page, 'counter-kafka')) - (await numberIn(other, 'counter-kafka'))).toBe(0);
  await context.close();
});

test('a running simulation takes another rate', async ({ page, request }) => {
  await openPage(page);
  await startSimulation(request, 5, 0);
  await expect(page.getByLabel('Exact rate')).toHaveValue('5');
  await page.getByLabel('Exact rate').fill('40');
  await expect
    .poll(async () => ((await (await request.get('/api/v1/simulation/status')).json()) as { rate_target: number }).rate_target)
    .toBe(40);
});

test('the language is the browser’s, and can be switched', async ({ page, browser, baseURL }) => {
  await openPage(page);
  await page.getByTestId('settings').click();
  await page.getByText('Français').click();
  await expect(page.getByRole('link', { name: 'Événements' })).toBeVisible();
  await expect(page.getByTestId('start')).toHaveText('Démarrer');
  await expect(page.locator('html')).toHaveAttribute('lang', 'fr');
  await page.reload();
  await expect(page.getByTestId('start')).toHaveText('Démarrer');
  const context = await browser.newContext({ baseURL, locale: 'fr-FR' });
  const french = await context.newPage();
  await openPage(french, '/', { language: null });
  await expect(french.getByTestId('start')).toHaveText('Démarrer');
  await context.close();
});

test('the first visit is guided, and ends with a running simulation', async ({ page }) => {
  await openPage(page, '/', { tourSeen: false });
  const tour = page.getByTestId('tour');
  await expect(tour).toContainText('A small bank');
  for (let step = 0; step < 4; step++) await page.getByTestId('tour-next').click();
  await page.getByTestId('tour-start').click();
  await expect(tour).toHaveCount(0);
  await expect(page.getByTestId('simulation-status')).toHaveAttribute('data-status', 'running');
  await page.reload();
  await expect(page.getByTestId('flow')).toBeVisible();
  await expect(tour).toHaveCount(0);
});

test('a simulation is started and stopped by keyboard alone', async ({ page }) => {
  await openPage(page);
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute('data-testid'));
  for (let presses = 0; presses < 60 && (await focused()) !== 'start'; presses++) await page.keyboard.press('Tab');
  expect(await focused()).toBe('start');
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('simulation-status')).toHaveAttribute('data-status', 'running');
  for (let presses = 0; presses < 60 && (await focused()) !== 'stop'; presses++) await page.keyboard.press('Tab');
  expect(await focused()).toBe('stop');
  await page.keyboard.press('Enter');
  await expect(page.getByTestId('simulation-status')).toHaveAttribute('data-status', 'stopped');
});

test('values outside the limits cannot be sent and say why; a refusal says why and keeps what was typed', async ({ page, request }) => {
  await openPage(page);
  for (const [field, bad, good, why] of [
    ['Exact rate', '0', '20', 'events per second'],
    ['Exact rate', '100000', '20', 'events per second'],
    ['Duration (seconds)', '-1', '0', 'seconds'],
  ] as const) {
    await page.getByLabel(field, { exact: true }).fill(bad);
    await expect(page.getByText(/^Between .*\.$/)).toContainText(why);
    await expect(page.getByTestId('start')).toBeDisabled();
    await page.getByLabel(field, { exact: true }).fill(good);
    await expect(page.getByTestId('start')).toBeEnabled();
  }
  await page.getByLabel('Count', { exact: true }).fill('0');
  await expect(page.getByText(/^A whole number from 1 to/)).toBeVisible();
  await expect(page.getByTestId('produce')).toBeDisabled();
  // Somebody else was faster; this page hears of it only by being refused.
  await page.route('**/api/v1/simulation/status', (route) => route.abort());
  await startSimulation(request, 5, 0);
  await page.getByTestId('start').click();
  const refusal = page.getByTestId('toast-bad');
  await expect(refusal).toContainText('Conflict');
  await expect(refusal).toContainText('has not ended; stop it first');
  await expect(page.getByLabel('Exact rate')).toHaveValue('20');
});

test('with reduced motion nothing is animated, and what moves is still said', async ({ browser, baseURL, request }) => {
  const context = await browser.newContext({ baseURL, reducedMotion: 'reduce' });
  const page = await context.newPage();
  await openPage(page);
  await startSimulation(request, 20, 0);
  await expect(page.getByTestId('edge-simulator-kafka')).toHaveAttribute('data-moving', 'true');
  await expect.poll(() => numberIn(page, 'counter-kafka')).toBeGreaterThan(0);
  expect(await page.evaluate(() => document.getAnimations().filter(({ playState }) => playState === 'running').length)).toBe(0);
  await expect(page.locator('[data-dot]')).toHaveCount(0);
  await context.close();
});

test('no view has a serious accessibility finding', async ({ page, request }) => {
  test.slow();
  await request.post('/api/v1/events/poison', { data: { topic: 'bancaire.depot.effectue', kind: 'truncated', count: 1 } });
  await startSimulation(request, 10, 0);
  const accounts = (await (await request.get('/api/v1/bancaire/comptes?limit=1')).json()) as { comptes: { id: string }[] };
  const paths = ['/', '/?node=bancaire', '/events', '/kafka', '/accounts', `/accounts/${accounts.comptes[0]?.id ?? ''}`, '/ledger', '/dead-letters', '/break', '/guide/offset'];
  for (const theme of ['light', 'dark']) {
    await page.addInitScript((chosen) => {
      localStorage.setItem('edalab.settings', JSON.stringify({ language: 'en', tourSeen: true, theme: chosen, motion: 'reduced' }));
    }, theme);
    for (const path of paths) {
      await openPage(page, path);
      await expect(page.getByText(/^Loading$/)).toHaveCount(0);
      const { violations } = await new AxeBuilder({ page }).analyze();
      const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
      expect(serious.map(({ id, nodes }) => `${theme} ${path} ${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`)).toEqual([]);
    }
  }
});

test('the page fits a phone: nothing is wider than the screen', async ({ browser, baseURL }) => {
  const context = await browser.newContext({ baseURL, viewport: { width: 390, height: 844 } });
  const page = await context.newPage();
  for (const path of ['/', '/events', '/kafka', '/accounts', '/ledger', '/dead-letters', '/break', '/guide']) {
    await openPage(page, path);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    expect(width, path).toBeLessThanOrEqual(390);
  }
  await openPage(page);
  await page.getByTestId('menu').click();
  await expect(page.getByRole('dialog').getByTestId('start')).toBeVisible();
  await context.close();
});

test('no script is inline, nothing is refused by the policy, nothing is fetched from elsewhere', async ({ page, baseURL }) => {
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  const foreign: string[] = [];
  page.on('request', (request) => {
    if (!request.url().startsWith(baseURL ?? '') && !request.url().startsWith('ws://')) foreign.push(request.url());
  });
  const response = await page.goto('/');
  const policy = response?.headers()['content-security-policy'] ?? '';
  expect(policy).toContain("default-src 'self'");
  expect(policy).not.toMatch(/script-src[^;]*unsafe/);
  await openPage(page, '/events');
  await openPage(page, '/break');
  await expect(page.getByTestId('experiment-kill')).toBeVisible();
  expect(complaints).toEqual([]);
  expect(foreign).toEqual([]);
});
