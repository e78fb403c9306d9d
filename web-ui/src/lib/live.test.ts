import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { startLive } from '@/lib/live';
import type { EventMessage } from '@/lib/messages';
import { useSimulationStore } from '@/lib/store/simulationStore';
import type { ConnectionState, EventSocket } from '@/lib/websocket';

const DEPOT = 'bancaire.depot.effectue';

/** A socket whose messages the test makes up. */
function fakeSocket() {
  const on = new Map<string, (message: unknown) => void>();
  let state: (state: ConnectionState) => void = () => undefined;
  const socket = {
    maxRate: undefined,
    connect: () => Promise.resolve(),
    disconnect: vi.fn(),
    on: (kind: string, callback: (message: unknown) => void) => {
      on.set(kind, callback);
      return () => on.delete(kind);
    },
    subscribe: (_: string, callback: (message: EventMessage) => void) => {
      on.set('event', callback as (message: unknown) => void);
      return () => on.delete('event');
    },
    onState: (callback: typeof state) => {
      state = callback;
      callback({ status: 'connecting', retryAt: null, attempts: 0 });
      return () => undefined;
    },
  };
  return {
    socket: socket as unknown as EventSocket,
    event: (offset: number) => on.get('event')?.({ type: 'event', topic: DEPOT, timestamp: '', payload: { event_type: 'DepotEffectue', event: {}, partition: 0, offset, key: 'a', latency_ms: 1, size: 1 } }),
    stats: (count: number) => on.get('stats')?.({ payload: { topics: { [DEPOT]: { count, rate: 1, sampled_out: 0 } } } }),
    lagged: (skipped: number) => on.get('lagged')?.({ payload: { skipped } }),
    state: (status: ConnectionState['status']) => {
      state({ status, retryAt: null, attempts: 0 });
    },
  };
}

const events = () => useSimulationStore.getState().events;

beforeEach(() => {
  vi.useFakeTimers();
  useSimulationStore.setState(useSimulationStore.getInitialState(), true);
});
afterEach(() => {
  vi.useRealTimers();
});

describe('live', () => {
  it('puts what comes between two frames into the store at once', () => {
    const fake = fakeSocket();
    const stop = startLive(fake.socket);
    const changes = vi.fn();
    useSimulationStore.subscribe(changes);
    for (let offset = 0; offset < 40; offset++) fake.event(offset);
    expect(events()).toHaveLength(0);
    vi.advanceTimersByTime(20);
    expect(events()).toHaveLength(40);
    expect(changes).toHaveBeenCalledOnce();
    stop();
    expect(fake.socket.disconnect).toHaveBeenCalled();
  });

  it('shows the gap after a loss, with what was missed', () => {
    const fake = fakeSocket();
    const stop = startLive(fake.socket);
    fake.state('connected');
    fake.stats(10);
    fake.state('reconnecting');
    vi.advanceTimersByTime(3000);
    fake.state('connected');
    fake.stats(35);
    vi.advanceTimersByTime(20);
    expect(events()[0]).toMatchObject({ kind: 'gap', why: 'away', missed: 25 });
    stop();
  });

  it('says that it does not know what was missed when the gateway counts anew', () => {
    const fake = fakeSocket();
    const stop = startLive(fake.socket);
    fake.state('connected');
    fake.stats(100);
    fake.state('reconnecting');
    vi.advanceTimersByTime(1000);
    fake.state('connected');
    fake.stats(2);
    vi.advanceTimersByTime(20);
    expect(events()[0]).toMatchObject({ kind: 'gap', missed: null });
    stop();
  });

  it('shows what the gateway skipped', () => {
    const fake = fakeSocket();
    const stop = startLive(fake.socket);
    fake.lagged(7);
    vi.advanceTimersByTime(20);
    expect(events()[0]).toMatchObject({ kind: 'gap', why: 'lagged', missed: 7 });
    stop();
  });

  it('keeps a sample a second', () => {
    const fake = fakeSocket();
    const stop = startLive(fake.socket);
    fake.stats(5);
    vi.advanceTimersByTime(3100);
    expect(useSimulationStore.getState().history.map(({ produced }) => produced)).toEqual([5, 5, 5]);
    stop();
  });
});
