/**
 * The page's one line to the gateway's event stream. It reconnects by itself, subscribes again to
 * what it was subscribed to, and tells its listeners how it is. What the events then do stands in
 * `live.ts`.
 */

import { parseMessage, type ClientMessage, type EventMessage, type ServerMessage } from '@/lib/messages';

export type ConnectionStatus = 'idle' | 'connecting' | 'connected' | 'reconnecting';

export interface ConnectionState {
  status: ConnectionStatus;
  /** When the next try begins (ms since the epoch); null while none is planned. */
  retryAt: number | null;
  /** Tries since the last open connection. */
  attempts: number;
}

type Kind = Exclude<ServerMessage['type'], 'event'>;
type MessageOf<K extends Kind> = Extract<ServerMessage, { type: K }>;

const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 10_000;
/** The gateway sends figures every 250 ms; such a silence means that the line is dead. */
const SILENCE_MS = 10_000;

/** The delay before a try: doubled each time, and drawn between half and the whole of it, so that
 * many pages do not come back at one moment. */
export function retryDelay(attempt: number, random: number): number {
  const whole = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** attempt);
  return Math.round(whole * (0.5 + random / 2));
}

export class EventSocket {
  private ws: WebSocket | null = null;
  private listeners = new Map<string, Set<(event: EventMessage) => void>>();
  private kinds = new Map<Kind, Set<(message: ServerMessage) => void>>();
  private stateListeners = new Set<(state: ConnectionState) => void>();
  private state: ConnectionState = { status: 'idle', retryAt: null, attempts: 0 };
  private url: string | null = null;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private silence: ReturnType<typeof setTimeout> | undefined;
  private waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  /** The cap that goes with every subscription; without it every event is sent. */
  maxRate: number | undefined;

  /** Resolves when the line is open; until then it keeps trying. Rejects when disconnected first. */
  connect(url: string): Promise<void> {
    if (this.url === url && this.state.status === 'connected') return Promise.resolve();
    const opened = new Promise<void>((resolve, reject) => this.waiting.push({ resolve, reject }));
    if (this.url !== url) {
      this.close();
      this.url = url;
      this.setState({ status: 'connecting', retryAt: null, attempts: 0 });
      this.open();
    }
    return opened;
  }

  disconnect(): void {
    this.url = null;
    this.close();
    for (const { reject } of this.waiting.splice(0)) reject(new Error('disconnected'));
    this.setState({ status: 'idle', retryAt: null, attempts: 0 });
  }

  /** Tries at once instead of waiting for the next planned try. */
  retryNow(): void {
    if (this.state.status === 'reconnecting' && this.state.retryAt !== null) {
      clearTimeout(this.retry);
      this.open();
    }
  }

  /** Calls back for each event of a topic, or of all with "*"; returns how to stop that. */
  subscribe(topic: string, callback: (event: EventMessage) => void): () => void {
    let callbacks = this.listeners.get(topic);
    if (!callbacks) {
      callbacks = new Set();
      this.listeners.set(topic, callbacks);
      this.sendSubscription([topic]);
    }
    callbacks.add(callback);
    return () => {
      callbacks.delete(callback);
      if (callbacks.size === 0 && this.listeners.get(topic) === callbacks) this.unsubscribe(topic);
    };
  }

  /** Ends every subscription of a topic. */
  unsubscribe(topic: string): void {
    if (this.listeners.delete(topic)) this.send({ action: 'unsubscribe', topics: [topic] });
  }

  /** Calls back for messages that are not events. */
  on<K extends Kind>(kind: K, callback: (message: MessageOf<K>) => void): () => void {
    const callbacks = this.kinds.get(kind) ?? new Set();
    this.kinds.set(kind, callbacks);
    callbacks.add(callback as (message: ServerMessage) => void);
    return () => callbacks.delete(callback as (message: ServerMessage) => void);
  }

  /** Calls back now and whenever the connection's state changes. */
  onState(callback: (state: ConnectionState) => void): () => void {
    this.stateListeners.add(callback);
    callback(this.state);
    return () => this.stateListeners.delete(callback);
  }

  private open(): void {
    if (this.url === null) return;
    const ws = new WebSocket(this.url);
    this.ws = ws;
    this.setState({ ...this.state, retryAt: null });
    ws.onopen = () => {
      this.setState({ status: 'connected', retryAt: null, attempts: 0 });
      this.sendSubscription([...this.listeners.keys()]);
      this.watchSilence();
      for (const { resolve } of this.waiting.splice(0)) resolve();
    };
    ws.onmessage = (frame) => {
      this.watchSilence();
      const message = typeof frame.data === 'string' ? parseMessage(frame.data) : undefined;
      if (message) this.dispatch(message);
    };
    // An error is always followed by a close, which plans the next try.
    ws.onclose = () => {
      if (this.ws === ws) this.planRetry();
    };
  }

  private close(): void {
    clearTimeout(this.retry);
    clearTimeout(this.silence);
    const ws = this.ws;
    this.ws = null;
    ws?.close();
  }

  private planRetry(): void {
    this.ws = null;
    clearTimeout(this.silence);
    const { attempts } = this.state;
    const delay = retryDelay(attempts, Math.random());
    this.setState({ status: 'reconnecting', retryAt: Date.now() + delay, attempts: attempts + 1 });
    this.retry = setTimeout(() => {
      this.open();
    }, delay);
  }

  private watchSilence(): void {
    clearTimeout(this.silence);
    if (this.listeners.size === 0) return;
    const ws = this.ws;
    this.silence = setTimeout(() => {
      if (this.ws !== ws || !ws) return;
      ws.onclose = null;
      ws.close();
      this.planRetry();
    }, SILENCE_MS);
  }

  private dispatch(message: ServerMessage): void {
    if (message.type === 'event') {
      for (const callback of this.listeners.get(message.topic) ?? []) callback(message);
      for (const callback of this.listeners.get('*') ?? []) callback(message);
    } else {
      for (const callback of this.kinds.get(message.type) ?? []) callback(message);
    }
  }

  private sendSubscription(topics: string[]): void {
    if (topics.length === 0) return;
    this.send(this.maxRate === undefined ? { action: 'subscribe', topics } : { action: 'subscribe', topics, max_rate: this.maxRate });
  }

  private send(message: ClientMessage): void {
    // What is said before the line is open is said again by onopen.
    if (this.ws?.readyState === WebSocket.OPEN) this.ws.send(JSON.stringify(message));
  }

  private setState(state: ConnectionState): void {
    this.state = state;
    for (const callback of this.stateListeners) callback(state);
  }
}

export const eventSocket = new EventSocket();

/** The stream's address: beside the page, or beside `VITE_API_URL`. */
export function socketUrl(): string {
  const base = new URL(import.meta.env.VITE_API_URL ?? window.location.origin, window.location.origin);
  base.protocol = base.protocol === 'https:' ? 'wss:' : 'ws:';
  base.pathname = '/ws';
  return base.href;
}
