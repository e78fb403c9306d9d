/** What the tests do again and again, in the words of a person. */

import { expect, type APIRequestContext, type Page } from '@playwright/test';

/** Opens the page as someone does who has seen the tour. */
export async function openPage(page: Page, path = '/', settings: Record<string, unknown> = {}): Promise<void> {
  await page.addInitScript((chosen) => {
    if (!localStorage.getItem('edalab.settings')) localStorage.setItem('edalab.settings', JSON.stringify(chosen));
  }, { language: 'en', tourSeen: true, ...settings });
  await page.goto(path);
  await expect(page.getByTestId('connection')).toHaveAttribute('data-status', 'connected');
}

/** A counter's number, whatever its separators. */
export async function numberIn(page: Page, testId: string): Promise<number> {
  const text = (await page.getByTestId(testId).first().textContent()) ?? '';
  return Number(text.replace(/[^\d]/g, '') || 'NaN');
}

export async function startSimulation(request: APIRequestContext, rate: number, duration: number, scenario = 'default'): Promise<void> {
  await stopSimulation(request);
  const response = await request.post('/api/v1/simulation/start', { data: { scenario, rate, duration } });
  expect(response.ok(), await response.text()).toBe(true);
}

/** Whatever ran before; 409 says that nothing did. */
export async function stopSimulation(request: APIRequestContext): Promise<void> {
  await request.post('/api/v1/simulation/stop', { data: {} });
  await expect
    .poll(async () => ((await (await request.get('/api/v1/simulation/status')).json()) as { status: string }).status)
    .toBe('stopped');
}
