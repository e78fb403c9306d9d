import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { EventSocket, retryDelay, type ConnectionState } from '@/lib/websocket';

/** A WebSocket that the test opens, feeds and breaks. */
class FakeSocket {
  static all: FakeSocket[] = [];
  static readonly OPEN = 1;
  readyState = 0;
  sent: unknown[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((frame: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  constructor(readonly url: string) {
    FakeSocket.all.push(this);
  }
  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }
  close(): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose?.();
  }
  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }
  say(message: unknown): void {
    this.onmessage?.({ data: typeof message === 'string' ? message : JSON.stringify(message) });
  }
  static last(): FakeSocket {
    const last = FakeSocket.all.at(-1);
    if (!last) throw new Error('no socket was opened');
    return last;
  }
}

const event = (topic: string, offset = 0) => ({ type: 'event', topic, timestamp: '', payload: { event_type: 'X', partition: 0, offset } });

beforeEach(() => {
  FakeSocket.all = [];
  vi.stubGlobal('WebSocket', FakeSocket);
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('EventSocket', () => {
  it('subscribes when the line opens and hands each topic its events', async () => {
    const socket = new EventSocket();
    const [one, all] = [vi.fn(), vi.fn()];
    socket.subscribe('a', one);
    const opened = socket.connect('ws://lab/ws');
    FakeSocket.last().open();
    await opened;
    socket.subscribe('*', all);
    expect(FakeSocket.last().sent).toEqual([
      { action: 'subscribe', topics: ['a'] },
      { action: 'subscribe', topics: ['*'] },
    ]);
    FakeSocket.last().say(event('a'));
    FakeSocket.last().say(event('b'));
    expect(one).toHaveBeenCalledOnce();
    expect(all).toHaveBeenCalledTimes(2);
  });

  it('unsubscribes with the last listener', async () => {
    const socket = new EventSocket();
    socket.maxRate = 50;
    const opened = socket.connect('ws://lab/ws');
    FakeSocket.last().open();
    await opened;
    const stops = [socket.subscribe('a', vi.fn()), socket.subscribe('a', vi.fn())];
    stops[0]?.();
    expect(FakeSocket.last().sent).toEqual([{ action: 'subscribe', topics: ['a'], max_rate: 50 }]);
    stops[1]?.();
    expect(FakeSocket.last().sent.at(-1)).toEqual({ action: 'unsubscribe', topics: ['a'] });
  });

  it('comes back after a loss, subscribed as before, and says how it is', () => {
    const socket = new EventSocket();
    const states: ConnectionState[] = [];
    socket.onState((state) => states.push(state));
    socket.subscribe('*', vi.fn());
    void socket.connect('ws://lab/ws');
    FakeSocket.last().open();
    FakeSocket.last().close();
    expect(states.at(-1)).toMatchObject({ status: 'reconnecting', attempts: 1 });
    vi.advanceTimersByTime(500);
    expect(FakeSocket.all).toHaveLength(2);
    FakeSocket.last().close();
    expect(states.at(-1)?.attempts).toBe(2);
    vi.advanceTimersByTime(1000);
    FakeSocket.last().open();
    expect(states.at(-1)).toEqual({ status: 'connected', retryAt: null, attempts: 0 });
    expect(FakeSocket.last().sent).toEqual([{ action: 'subscribe', topics: ['*'] }]);
  });

  it('takes a long silence for a dead line', () => {
    const socket = new EventSocket();
    socket.subscribe('*', vi.fn());
    void socket.connect('ws://lab/ws');
    FakeSocket.last().open();
    for (let n = 0; n < 5; n++) {
      vi.advanceTimersByTime(9000);
      FakeSocket.last().say({ type: 'stats', timestamp: '', payload: { topics: {} } });
    }
    expect(FakeSocket.all).toHaveLength(1);
    vi.advanceTimersByTime(11_000);
    expect(FakeSocket.all).toHaveLength(2);
  });

  it('stops trying when disconnected, and says so to whoever waited', async () => {
    const socket = new EventSocket();
    const waiting = socket.connect('ws://lab/ws');
    socket.disconnect();
    await expect(waiting).rejects.toThrow('disconnected');
    vi.advanceTimersByTime(60_000);
    expect(FakeSocket.all).toHaveLength(1);
  });

  it('does not mind frames that it does not know', async () => {
    const socket = new EventSocket();
    const stats = vi.fn();
    socket.on('stats', stats);
    const opened = socket.connect('ws://lab/ws');
    FakeSocket.last().open();
    await opened;
    for (const frame of ['', '{', 'null', '[]', '{"type":"news","payload":{}}', '{"type":"event"}']) FakeSocket.last().say(frame);
    expect(stats).not.toHaveBeenCalled();
  });
});

describe('retryDelay', () => {
  it('doubles up to a limit, and is drawn between half and whole', () => {
    expect(retryDelay(0, 0)).toBe(250);
    expect(retryDelay(0, 1)).toBe(500);
    expect(retryDelay(3, 1)).toBe(4000);
    expect(retryDelay(30, 1)).toBe(10_000);
  });
});
