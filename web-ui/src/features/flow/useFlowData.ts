/**
 * What the graph shows: each node's state, counter and curve, each edge's total and rate. Counters
 * come from the stream's figures and from bancaire's books; when the books have grown, what they
 * counted moves along the edges behind Kafka.
 */

import { useEffect, useMemo } from 'react';

import { edgeTotals, isAggregated, passed, sum, type EdgeId } from '@/lib/flow';
import { NODES, type NodeId } from '@/features/flow/graph';
import { pulses } from '@/lib/pulses';
import { useHealth, useLedger } from '@/lib/queries';
import { useSimulationStore, type Sample } from '@/lib/store/simulationStore';
import type { Ledger } from '@/lib/types';
import { ratesOf } from '@/lib/ui/Sparkline';
import { levelOf, type Level } from '@/lib/ui/StatusDot';

export interface NodeFigures {
  level: Level;
  /** Why it is not well, in the service's own words. */
  reason: string | null;
  counter: number | null;
  /** Per second, over the last minute. */
  history: (number | null)[];
}

const SAMPLED: Partial<Record<NodeId, (sample: Sample) => number | null>> = {
  simulator: (sample) => sample.produced,
  kafka: (sample) => sample.messages,
  bancaire: (sample) => sample.consumed,
  postgres: (sample) => sample.stored,
  dlq: (sample) => sample.deadLetters,
};

/** Counted by bancaire's books, which are read about once a second: over one sample their growth
 * would be nothing or twice itself. */
const BOOKED: NodeId[] = ['bancaire', 'postgres'];
const BOOKS_SPAN = 3;

export function useNodeFigures(id: NodeId): NodeFigures {
  const { service, counts } = NODES[id];
  const { data: health, isError } = useHealth();
  const topics = useSimulationStore((state) => state.topics);
  const ledger = useSimulationStore((state) => state.ledger);
  const samples = useSimulationStore((state) => state.history);
  const state = service ? health?.services[service] : undefined;
  const history = useMemo(() => {
    const value = SAMPLED[id];
    return value ? ratesOf(samples, value, BOOKED.includes(id) ? BOOKS_SPAN : 1) : [];
  }, [id, samples]);
  const all = Object.values(topics).reduce((total, topic) => total + topic.count, 0);
  return {
    level: isError ? 'unknown' : levelOf(state?.status),
    reason: isError ? null : (state?.reason ?? null),
    counter: id === 'kafka' ? all : counts ? sum(edgeTotals(topics, ledger)[counts]) : null,
    history,
  };
}

export interface EdgeFigures {
  total: number | null;
  /** Records per second over the last seconds. */
  rate: number;
  /** Too many pass to draw each. */
  isAggregated: boolean;
  /** Each topic's share of the total. */
  shares: [topic: string, share: number][];
}

/** The last seconds that an edge's rate is the mean of. */
const RATE_OVER_S = 3;

const EDGE_SAMPLE: Record<EdgeId, (sample: Sample) => number | null> = {
  'simulator-kafka': (sample) => sample.produced,
  'kafka-bancaire': (sample) => sample.consumed,
  'bancaire-postgres': (sample) => sample.stored,
  'bancaire-kafka': (sample) => sample.returned,
  'bancaire-dlq': (sample) => sample.deadLetters,
};

export function useEdgeFigures(edge: EdgeId | null): EdgeFigures {
  const topics = useSimulationStore((state) => state.topics);
  const ledger = useSimulationStore((state) => state.ledger);
  const samples = useSimulationStore((state) => state.history);
  const rate = useMemo(() => (edge ? meanRate(samples, EDGE_SAMPLE[edge]) : 0), [edge, samples]);
  // Kafka's records, or bancaire's when it catches up after the simulation has ended.
  const graphRate = useMemo(() => Math.max(meanRate(samples, (sample) => sample.messages), meanRate(samples, (sample) => sample.consumed)), [samples]);
  if (!edge) return { total: null, rate: 0, isAggregated: false, shares: [] };
  const totals = edgeTotals(topics, ledger)[edge];
  const total = sum(totals);
  const shares = total ? Object.entries(totals ?? {}).map<[string, number]>(([topic, n]) => [topic, n / total]) : [];
  return { total, rate, isAggregated: isAggregated(rate, graphRate), shares: shares.filter(([, share]) => share > 0).sort((a, b) => b[1] - a[1]) };
}

function meanRate(samples: Sample[], value: (sample: Sample) => number | null): number {
  const recent = ratesOf(samples.slice(-RATE_OVER_S - 1), value).filter((rate) => rate !== null);
  return recent.length === 0 ? 0 : recent.reduce((a, b) => a + b, 0) / recent.length;
}

/** Keeps the books fresh, and turns their growth into pulses on the edges that they count. */
export function useFlowData(): void {
  useLedger();
  useEffect(() => {
    let before: Ledger | null = useSimulationStore.getState().ledger;
    const timers = new Set<ReturnType<typeof setTimeout>>();
    const stop = useSimulationStore.subscribe(({ ledger }) => {
      if (ledger === before || !ledger) return;
      const [then, now] = [edgeTotals({}, before), edgeTotals({}, ledger)];
      before = ledger;
      spread(timers, passed(then['kafka-bancaire'], now['kafka-bancaire']), 'kafka-bancaire', 0);
      spread(timers, passed(then['bancaire-postgres'], now['bancaire-postgres']), 'bancaire-postgres', 250);
    });
    return () => {
      stop();
      for (const timer of timers) clearTimeout(timer);
    };
  }, []);
}

/** The books are read once a second: what they counted since is shown over that second. */
const SPREAD_MS = 900;
/** Dots per reading; above it the edge shows an aggregated flow anyway. */
const PULSES_MAX = 60;

function spread(timers: Set<ReturnType<typeof setTimeout>>, records: Record<string, number>, edge: EdgeId, delayMs: number): void {
  const total = Object.values(records).reduce((a, b) => a + b, 0);
  if (total > PULSES_MAX) {
    // One word with the whole number: the edge knows that it moves, and draws the flow.
    for (const [topic, count] of Object.entries(records)) pulses.emit(edge, topic, count);
    return;
  }
  for (const [topic, count] of Object.entries(records)) {
    for (let n = 0; n < count; n++) {
      // Each type over the whole of the time, so that types mix as they did in the log.
      const share = (n + Math.random()) / count;
      const timer = setTimeout(() => {
        timers.delete(timer);
        pulses.emit(edge, topic);
      }, delayMs + share * SPREAD_MS);
      timers.add(timer);
    }
  }
}
