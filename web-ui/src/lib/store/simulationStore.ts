/**
 * What moves: the last events, the topics' counters, the simulation, the connection. Bounded, so
 * that a page left open over night is as light as a fresh one. `live.ts` fills it; views read it.
 */

import { create } from 'zustand';

import { simulationApi } from '@/lib/api';
import { DLQ_TOPIC } from '@/lib/eventTypes';
import { recordsOf } from '@/lib/ledger';
import type { EventMessage, TopicStats } from '@/lib/messages';
import type { Ledger, Metrics, SimulationConfig, SimulationStatus } from '@/lib/types';
import type { ConnectionState } from '@/lib/websocket';

/** Enough to look back over some seconds of a busy stream, little enough to filter at each change. */
export const EVENTS_MAX = 500;
/** A node's sparkline: one figure per second. */
export const HISTORY_S = 60;

/** One event of the stream, as the table shows it. */
export interface StreamEvent {
  kind: 'event';
  /** topic-partition-offset. */
  id: string;
  topic: string;
  partition: number;
  offset: number;
  eventType: string;
  key: string | null;
  latencyMs: number | null;
  size: number;
  event: unknown;
  traceId?: string;
  error?: { kind: string; message: string };
  /** When this page got it (ms since the epoch). */
  receivedAt: number;
}

/** A stretch of the stream that this page did not see. */
export interface StreamGap {
  kind: 'gap';
  id: string;
  /** `away`: the line was down; `lagged`: the gateway skipped, because the page was too slow. */
  why: 'away' | 'lagged';
  fromMs: number;
  toMs: number;
  /** null when it cannot be known, as after a restart of the gateway. */
  missed: number | null;
}

export type StreamItem = StreamEvent | StreamGap;

/** Totals at one second, null while they are not known; sparklines show their differences. */
export interface Sample {
  atMs: number;
  produced: number | null;
  messages: number | null;
  consumed: number | null;
  stored: number | null;
  /** Not a total: how many records were waiting. */
  lag: number | null;
  returned: number | null;
  deadLetters: number | null;
}

interface SimulationState {
  simulationStatus: SimulationStatus | null;
  metrics: Metrics | null;
  ledger: Ledger | null;
  /** When the books were read; they grow old while bancaire is away. */
  ledgerAtMs: number;
  /** Newest first. */
  events: StreamItem[];
  /** The stream's counters as the gateway gave them: since its start. */
  stats: Record<string, TopicStats>;
  /** The same counters since the log's beginning, as far as bancaire's books tell it. */
  topics: Record<string, TopicStats>;
  history: Sample[];
  connectionStatus: ConnectionState;
  /** False while the gateway itself has lost the stream from Kafka. */
  isFed: boolean;

  startSimulation(config: SimulationConfig): Promise<void>;
  stopSimulation(): Promise<void>;
  updateSimulation(status: SimulationStatus): void;
  updateMetrics(metrics: Metrics): void;
  updateLedger(ledger: Ledger): void;
  updateTopics(topics: Record<string, TopicStats>): void;
  updateConnection(state: ConnectionState): void;
  updateFeed(isFed: boolean): void;
  addEvent(event: StreamEvent): void;
  /** Oldest first, as they came. */
  addItems(items: StreamItem[]): void;
  addSample(sample: Sample): void;
  clearEvents(): void;
}

export const useSimulationStore = create<SimulationState>((set, get) => ({
  simulationStatus: null,
  metrics: null,
  ledger: null,
  ledgerAtMs: 0,
  events: [],
  stats: {},
  topics: {},
  history: [],
  connectionStatus: { status: 'idle', retryAt: null, attempts: 0 },
  isFed: true,

  async startSimulation(config) {
    await simulationApi.start(config);
    get().updateSimulation(await simulationApi.status());
  },
  async stopSimulation() {
    await simulationApi.stop();
    get().updateSimulation(await simulationApi.status());
  },
  updateSimulation: (simulationStatus) => {
    set({ simulationStatus });
  },
  updateMetrics: (metrics) => {
    set({ metrics });
  },
  updateLedger: (ledger) => {
    set(({ stats, topics }) => ({ ledger, ledgerAtMs: Date.now(), topics: sinceBeginning(stats, topics, ledger) }));
  },
  updateTopics: (stats) => {
    set(({ stats: before, topics, ledger }) => ({ stats, topics: advance(stats, before, topics) ?? sinceBeginning(stats, {}, ledger) }));
  },
  updateFeed: (isFed) => {
    set({ isFed });
  },
  updateConnection: (connectionStatus) => {
    set({ connectionStatus });
  },
  addEvent: (event) => {
    get().addItems([event]);
  },
  addItems: (items) => {
    if (items.length === 0) return;
    const newest = items.slice(-EVENTS_MAX).reverse();
    set(({ events }) => ({ events: [...newest, ...events.slice(0, EVENTS_MAX - newest.length)] }));
  },
  addSample: (sample) => {
    // One more than the seconds shown: a sparkline draws differences.
    set(({ history }) => ({ history: [...history.slice(-HISTORY_S), sample] }));
  },
  clearEvents: () => {
    set({ events: [] });
  },
}));

/** Books older than this are not the present. */
const STALE_MS = 2500;

/** Records that wait for bancaire: as its books say, or as the broker says while it is away. */
export function lagNow(state: Pick<SimulationState, 'ledger' | 'ledgerAtMs' | 'metrics'>): number | null {
  const { ledger, ledgerAtMs, metrics } = state;
  const isStale = Date.now() - ledgerAtMs > STALE_MS;
  return (isStale ? metrics?.kafka?.lag_total : ledger?.totals.in_flight) ?? null;
}

export function toStreamEvent(message: EventMessage, receivedAt: number): StreamEvent {
  const { payload, topic } = message;
  return {
    kind: 'event',
    id: `${topic}-${String(payload.partition)}-${String(payload.offset)}`,
    topic,
    partition: payload.partition,
    offset: payload.offset,
    eventType: payload.event_type,
    key: payload.key ?? null,
    latencyMs: payload.latency_ms ?? null,
    size: payload.size,
    event: payload.event,
    traceId: payload.trace_id ?? undefined,
    error: payload.error ?? undefined,
    receivedAt,
  };
}

/** Adds what passed since the last counters; undefined when there is nothing to add to, or when a
 * counter fell because the gateway was restarted. */
function advance(
  stats: Record<string, TopicStats>,
  before: Record<string, TopicStats>,
  topics: Record<string, TopicStats>,
): Record<string, TopicStats> | undefined {
  const result: Record<string, TopicStats> = {};
  for (const [name, now] of Object.entries(stats)) {
    const [then, total] = [before[name], topics[name]];
    if (!then || !total || now.count < then.count) return undefined;
    result[name] = { ...now, count: total.count + now.count - then.count };
  }
  return result;
}

/** Sets the totals by bancaire's books. They and the stream are read at different moments, so
 * while records pass a total is only set when the books know more. */
function sinceBeginning(
  stats: Record<string, TopicStats>,
  topics: Record<string, TopicStats>,
  ledger: Ledger | null,
): Record<string, TopicStats> {
  const booked = (name: string): number => {
    if (!ledger) return 0;
    if (name === DLQ_TOPIC) return ledger.dead_letters_published;
    const counts = ledger.topics.find(({ topic }) => topic === name);
    return counts ? (recordsOf(counts) ?? 0) : 0;
  };
  return Object.fromEntries(
    Object.entries(stats).map(([name, now]) => {
      const [known, total] = [booked(name), topics[name]?.count ?? now.count];
      // What the gateway saw itself is there: a dead letter can be published more often than booked.
      const count = now.rate === 0 && known > 0 ? Math.max(known, now.count) : Math.max(known, total);
      return [name, { ...now, count }];
    }),
  );
}
