/** A gateway for tests: answers as the real one does, through MSW. */

import { http, HttpResponse } from 'msw';
import { setupServer } from 'msw/node';
import { afterAll, afterEach, beforeAll } from 'vitest';

import type { Health, Ledger, SimulationStatus } from '@/lib/types';

const COUNTS = { applied: 0, rejected: 0, parked: 0, dead_lettered: 0, duplicates: 0, absent: 0, in_flight: 0, balanced: true };

export const stopped: SimulationStatus = {
  status: 'stopped',
  simulation_id: null,
  scenario: null,
  events_produced: 0,
  started_at: null,
  rate_target: 0,
  rate_actual: 0,
  by_type: {},
  duration: 0,
  elapsed_seconds: 0,
  failed: 0,
} as SimulationStatus;

export const running: SimulationStatus = {
  ...stopped,
  status: 'running',
  simulation_id: '0198c5a0-7e1b-7c44-9d1a-3f5b8e2d6a01',
  scenario: 'default',
  events_produced: 1234,
  rate_target: 10,
  rate_actual: 10.1,
  elapsed_seconds: 12,
};

export const healthy: Health = {
  status: 'healthy',
  uptime_seconds: 61,
  services: Object.fromEntries(
    ['gateway', 'simulator', 'bancaire', 'registry', 'kafka', 'postgres'].map((name) => [name, { status: 'healthy', latency_ms: 1 }]),
  ),
} as Health;

export const emptyLedger: Ledger = {
  cluster_id: null,
  partitions: [],
  topics: [],
  totals: COUNTS,
  outbox_pending: 0,
  dead_letters_published: 0,
  balanced: true,
} as Ledger;

export function ledgerOf(topic: string, counts: Partial<typeof COUNTS>): Ledger {
  const all = { ...COUNTS, ...counts };
  return { ...emptyLedger, topics: [{ topic, ...all }], totals: all } as Ledger;
}

export function problem(status: number, title: string, detail: string) {
  return HttpResponse.json({ type: 'about:blank', title, status, detail }, { status, headers: { 'content-type': 'application/problem+json' } });
}

export const gateway = setupServer();

/** Every test begins with a quiet, healthy lab; each says what differs. */
export function withGateway(): void {
  beforeAll(() => {
    gateway.listen({ onUnhandledRequest: 'error' });
  });
  afterEach(() => {
    gateway.resetHandlers();
  });
  afterAll(() => {
    gateway.close();
  });
}

export const quietLab = [
  http.get('*/api/v1/health', () => HttpResponse.json(healthy)),
  http.get('*/api/v1/ledger', () => HttpResponse.json(emptyLedger)),
  http.get('*/api/v1/simulation/status', () => HttpResponse.json(stopped)),
  http.get('*/api/v1/scenarios', () => HttpResponse.json({ scenarios: [], max_rate: 1000 })),
  http.get('*/api/v1/lab', () => problem(403, 'Forbidden', 'The gateway was not started by cargo xtask.')),
];
