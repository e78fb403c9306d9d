/**
 * Between the stream and the store: subscribes to every topic, gathers what comes between two
 * frames, marks the gaps, and keeps a sample per second for the sparklines.
 */

import { DLQ_TOPIC } from '@/lib/eventTypes';
import { edgeTotals, RETURN_TOPIC, sum } from '@/lib/flow';
import { FrameBatch } from '@/lib/frames';
import type { EventMessage, TopicStats } from '@/lib/messages';
import { pulses } from '@/lib/pulses';
import { EVENTS_MAX, lagNow, toStreamEvent, useSimulationStore, type StreamItem } from '@/lib/store/simulationStore';
import { socketUrl, type EventSocket } from '@/lib/websocket';

/** Events per second and topic that are worth sending one by one: at this rate each can still be
 * drawn, and counters do not need them. */
const MAX_RATE = 50;
/** A reconnection shorter than this lost nothing that a person would look for. */
const GAP_FLOOR_MS = 1;

/** Runs until the returned function is called. */
export function startLive(socket: EventSocket): () => void {
  const store = useSimulationStore.getState();
  const batch = new FrameBatch<StreamItem>(EVENTS_MAX, store.addItems);
  /** When the line went down and what had been counted by then. */
  let away: { sinceMs: number; records: number } | null = null;

  const markReturn = (topics: Record<string, TopicStats>) => {
    if (!away) return;
    const missed = records(topics) - away.records;
    const toMs = Date.now();
    if (toMs - away.sinceMs >= GAP_FLOOR_MS) {
      const known = away.records > 0 && missed >= 0;
      batch.add({ kind: 'gap', id: `gap-${String(toMs)}`, why: 'away', fromMs: away.sinceMs, toMs, missed: known ? missed : null });
    }
    away = null;
  };

  socket.maxRate = MAX_RATE;
  const stops = [
    socket.onState((state) => {
      const { connectionStatus, stats, updateConnection } = useSimulationStore.getState();
      if (connectionStatus.status === 'connected' && state.status === 'reconnecting') {
        away = { sinceMs: Date.now(), records: records(stats) };
      }
      updateConnection(state);
    }),
    socket.on('stats', ({ payload }) => {
      markReturn(payload.topics);
      useSimulationStore.getState().updateTopics(payload.topics);
    }),
    socket.on('status', ({ payload }) => {
      useSimulationStore.getState().updateFeed(payload.connected);
    }),
    socket.on('lagged', ({ payload }) => {
      const now = Date.now();
      batch.add({ kind: 'gap', id: `lag-${String(now)}`, why: 'lagged', fromMs: now, toMs: now, missed: payload.skipped });
    }),
    socket.subscribe('*', (message) => {
      emitPulse(message);
      batch.add(toStreamEvent(message, Date.now()));
    }),
  ];
  const sampling = setInterval(sample, 1000);
  // A disconnect before the first connection is the page being closed: nothing to say.
  socket.connect(socketUrl()).catch(() => undefined);

  return () => {
    clearInterval(sampling);
    for (const stop of stops) stop();
    batch.cancel();
    socket.disconnect();
  };
}

/** The stream itself shows what was published; what was consumed comes from bancaire's books. */
function emitPulse({ topic }: EventMessage): void {
  if (topic === RETURN_TOPIC) pulses.emit('bancaire-kafka', topic);
  else if (topic === DLQ_TOPIC) pulses.emit('bancaire-dlq', topic);
  else pulses.emit('simulator-kafka', topic);
}

function records(topics: Record<string, TopicStats>): number {
  return Object.values(topics).reduce((total, topic) => total + topic.count, 0);
}

function sample(): void {
  const state = useSimulationStore.getState();
  const { stats, ledger, addSample } = state;
  const totals = edgeTotals(stats, ledger);
  const isCounted = Object.keys(stats).length > 0;
  const counted = (total: number | null) => (isCounted ? total : null);
  addSample({
    atMs: Date.now(),
    produced: counted(sum(totals['simulator-kafka'])),
    messages: counted(records(stats)),
    consumed: sum(totals['kafka-bancaire']),
    stored: sum(totals['bancaire-postgres']),
    lag: lagNow(state),
    returned: counted(sum(totals['bancaire-kafka'])),
    deadLetters: counted(stats[DLQ_TOPIC]?.count ?? 0),
  });
}
