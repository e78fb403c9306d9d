/** The plan's four tests of the page, against a real lab. */

import { expect, test, type WebSocketRoute } from '@playwright/test';

import { numberIn, openPage, startSimulation, stopSimulation } from './page';

test.beforeEach(async ({ request }) => {
  await stopSimulation(request);
});
test.afterEach(async ({ request }) => {
  await stopSimulation(request);
});

test('démarre et arrête une simulation', async ({ page }) => {
  await openPage(page);
  const status = page.getByTestId('simulation-status');
  await expect(status).toHaveAttribute('data-status', 'stopped');
  await page.getByLabel('Exact rate').fill('20');
  await page.getByLabel('Duration (seconds)').fill('0');
  await page.getByTestId('start').click();
  await expect(status).toHaveAttribute('data-status', 'running');
  // Five seconds' worth of events, counted by the simulator and seen in Kafka.
  await expect.poll(() => numberIn(page, 'events-produced')).toBeGreaterThanOrEqual(100);
  await expect.poll(() => numberIn(page, 'footer-events')).toBeGreaterThanOrEqual(100);
  await page.getByTestId('stop').click();
  await expect(status).toHaveAttribute('data-status', 'stopped');
  const produced = await numberIn(page, 'events-produced');
  expect(produced).toBeGreaterThanOrEqual(100);
});

test('produit un événement manuel', async ({ page }) => {
  const books = page.waitForResponse('**/api/v1/ledger');
  await openPage(page);
  await books;
  // The counters come with the stream's first figures, and rest once the last run is through.
  await expect(page.getByTestId('footer-rate')).toHaveText('0 /s');
  const before = await numberIn(page, 'footer-events');
  await page.getByLabel('Event type', { exact: true }).selectOption('CompteOuvert');
  await page.getByLabel('Count', { exact: true }).fill('1');
  await page.getByTestId('produce').click();
  await expect(page.getByTestId('toast-good')).toContainText('Published: 1 × CompteOuvert');
  await expect.poll(() => numberIn(page, 'footer-events')).toBeGreaterThan(before);
});

test("visualisation s'anime avec les événements", async ({ page, request }) => {
  await openPage(page);
  const edges = ['simulator-kafka', 'kafka-bancaire', 'bancaire-postgres'];
  await expect(page.getByTestId('edge-simulator-kafka')).toHaveAttribute('data-moving', 'false');
  const before = await numberIn(page, 'counter-bancaire').catch(() => 0);
  await startSimulation(request, 20, 0);
  for (const edge of edges) await expect(page.getByTestId(`edge-${edge}`)).toHaveAttribute('data-moving', 'true');
  // A dot is on its way, drawn for an event that passed.
  await expect(page.locator('[data-dot]').first()).toBeAttached();
  for (const node of ['simulator', 'kafka', 'bancaire', 'postgres']) {
    await expect.poll(() => numberIn(page, `counter-${node}`)).toBeGreaterThan(0);
  }
  await expect.poll(() => numberIn(page, 'counter-bancaire')).toBeGreaterThan(Number.isNaN(before) ? 0 : before);
  await stopSimulation(request);
  for (const edge of edges) await expect(page.getByTestId(`edge-${edge}`)).toHaveAttribute('data-moving', 'false');
});

test('WebSocket se reconnecte après déconnexion', async ({ page, request }) => {
  const lines: WebSocketRoute[] = [];
  await page.routeWebSocket('**/ws', (line) => {
    line.connectToServer();
    lines.push(line);
  });
  await openPage(page, '/events');
  const connection = page.getByTestId('connection');
  await startSimulation(request, 20, 0);
  await expect(page.getByTestId('event-row').first()).toBeVisible();
  await lines[0]?.close({ code: 1012, reason: 'the test pulls the plug' });
  await expect(connection).toHaveAttribute('data-status', 'reconnecting');
  await expect(connection).toHaveAttribute('data-status', 'connected');
  expect(lines.length).toBeGreaterThan(1);
  // The gap is shown, and events come again behind it.
  await expect(page.getByTestId('gap-row')).toContainText('The connection was lost');
  const newest = page.getByTestId('event-row').first();
  const shown = await newest.textContent();
  await expect(newest).not.toHaveText(shown ?? '');
});
