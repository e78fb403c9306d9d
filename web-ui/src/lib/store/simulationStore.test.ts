import { http, HttpResponse } from 'msw';
import { beforeEach, describe, expect, it } from 'vitest';

import { EVENTS_MAX, HISTORY_S, useSimulationStore, type StreamEvent } from '@/lib/store/simulationStore';
import { gateway, ledgerOf, problem, running, stopped, withGateway } from '@/test/gateway';

withGateway();

const store = () => useSimulationStore.getState();
const DEPOT = 'bancaire.depot.effectue';
const stats = (count: number, rate = 1) => ({ [DEPOT]: { count, rate, sampled_out: 0 } });

function event(offset: number): StreamEvent {
  return { kind: 'event', id: `${DEPOT}-0-${String(offset)}`, topic: DEPOT, partition: 0, offset, eventType: 'DepotEffectue', key: 'a', latencyMs: 1, size: 80, event: {}, receivedAt: 0 };
}

beforeEach(() => {
  useSimulationStore.setState(useSimulationStore.getInitialState(), true);
});

describe('simulationStore', () => {
  it('keeps the newest events first, and no more than it may', () => {
    store().addEvent(event(0));
    store().addItems([event(1), event(2)]);
    expect(store().events.map((item) => item.kind === 'event' && item.offset)).toEqual([2, 1, 0]);
    store().addItems(Array.from({ length: EVENTS_MAX + 200 }, (_, n) => event(n + 3)));
    expect(store().events).toHaveLength(EVENTS_MAX);
    expect(store().events[0]).toMatchObject({ offset: EVENTS_MAX + 202 });
    store().clearEvents();
    expect(store().events).toEqual([]);
  });

  it('keeps a minute of history', () => {
    for (let atMs = 0; atMs < 200; atMs++) {
      store().addSample({ atMs, produced: atMs, messages: 0, consumed: null, stored: null, lag: null, returned: 0, deadLetters: 0 });
    }
    expect(store().history).toHaveLength(HISTORY_S + 1);
    expect(store().history.at(-1)?.produced).toBe(199);
  });

  it('starts and stops through the gateway and shows the new status', async () => {
    gateway.use(
      http.post('*/api/v1/simulation/start', () => HttpResponse.json({ simulation_id: 'a', status: 'running' })),
      http.post('*/api/v1/simulation/stop', () => HttpResponse.json({ status: 'stopped', events_produced: 3 })),
      http.get('*/api/v1/simulation/status', () => HttpResponse.json(running)),
    );
    await store().startSimulation({ scenario: 'default', rate: 10, duration: 0 });
    expect(store().simulationStatus?.status).toBe('running');
    gateway.use(http.get('*/api/v1/simulation/status', () => HttpResponse.json(stopped)));
    await store().stopSimulation();
    expect(store().simulationStatus?.status).toBe('stopped');
  });

  it('leaves the status alone when a start is refused', async () => {
    gateway.use(http.post('*/api/v1/simulation/start', () => problem(409, 'Conflict', 'A simulation runs already.')));
    store().updateSimulation(running);
    await expect(store().startSimulation({ scenario: 'default', rate: 10, duration: 0 })).rejects.toThrow('runs already');
    expect(store().simulationStatus).toBe(running);
  });

  it('counts from the beginning of the log although the gateway counts from its own start', () => {
    store().updateTopics(stats(5));
    expect(store().topics[DEPOT]?.count).toBe(5);
    store().updateLedger(ledgerOf(DEPOT, { applied: 1000, in_flight: 4 }));
    expect(store().topics[DEPOT]?.count).toBe(1004);
    store().updateTopics(stats(8));
    expect(store().topics[DEPOT]?.count).toBe(1007);
    // The books are a moment behind the stream: no step back while records pass.
    store().updateLedger(ledgerOf(DEPOT, { applied: 1006 }));
    expect(store().topics[DEPOT]?.count).toBe(1007);
    // Quiet: the books are exact.
    store().updateTopics(stats(8, 0));
    store().updateLedger(ledgerOf(DEPOT, { applied: 1006 }));
    expect(store().topics[DEPOT]?.count).toBe(1006);
    // The gateway was restarted.
    store().updateTopics(stats(2));
    expect(store().topics[DEPOT]?.count).toBe(1006);
  });
});
