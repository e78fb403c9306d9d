/**
 * From counters to what moves on the graph. Pure: what the broker and bancaire counted goes in,
 * the totals of each edge and the pulses since the last time come out.
 *
 * An edge moves only for what was counted: Kafka → bancaire waits for bancaire's own books, so
 * that it stands still while bancaire is dead although events go on arriving in Kafka.
 */

import { DLQ_TOPIC, EVENT_TYPES, EVENTS } from '@/lib/eventTypes';
import type { TopicStats } from '@/lib/messages';
import type { Ledger } from '@/lib/types';

export const EDGES = ['simulator-kafka', 'kafka-bancaire', 'bancaire-postgres', 'bancaire-kafka', 'bancaire-dlq'] as const;
export type EdgeId = (typeof EDGES)[number];

/** bancaire publishes this one itself, through its outbox. */
export const RETURN_TOPIC = EVENTS.VirementRecu.topic;

const BUSINESS = EVENT_TYPES.map((type) => EVENTS[type].topic);

/** Records per topic on each edge; `null` while nobody has counted them. */
export type EdgeTotals = Record<EdgeId, Record<string, number> | null>;

export function edgeTotals(topics: Record<string, TopicStats>, ledger: Ledger | null): EdgeTotals {
  const produced = pick(topics, BUSINESS.filter((topic) => topic !== RETURN_TOPIC));
  const returned = pick(topics, [RETURN_TOPIC]);
  // The topic also holds a note of each letter that was sent again, which is no letter.
  const refused = ledger ? { [DLQ_TOPIC]: ledger.dead_letters_published } : pick(topics, [DLQ_TOPIC]);
  const of = (count: (topic: Ledger['topics'][number]) => number) =>
    ledger && Object.fromEntries(ledger.topics.map((topic) => [topic.topic, count(topic)]));
  return {
    'simulator-kafka': produced,
    'bancaire-kafka': returned,
    'bancaire-dlq': refused,
    'kafka-bancaire': of((t) => t.applied + t.rejected + t.parked + t.dead_lettered + t.duplicates),
    'bancaire-postgres': of((t) => t.applied + t.rejected + t.parked),
  };
}

export function sum(counts: Record<string, number> | null | undefined): number | null {
  return counts ? Object.values(counts).reduce((a, b) => a + b, 0) : null;
}

/** What passed between two states, by topic; nothing when either is unknown or a counter fell,
 * which means that the lab was restarted. */
export function passed(before: Record<string, number> | null, after: Record<string, number> | null): Record<string, number> {
  if (!before || !after) return {};
  const result: Record<string, number> = {};
  for (const [topic, count] of Object.entries(after)) {
    const more = count - (before[topic] ?? 0);
    if (more < 0) return {};
    if (more > 0) result[topic] = more;
  }
  return result;
}

/** Above this rate of the whole graph single dots say nothing any more: edges show a flow by width
 * and speed. */
export const AGGREGATE_ABOVE = 50;
/** A trickle beside a busy flow is still shown dot by dot. */
const TRICKLE = 2;

export function isAggregated(edgeRate: number, graphRate: number): boolean {
  return graphRate > AGGREGATE_ABOVE && edgeRate > TRICKLE;
}

export interface FlowLook {
  widthPx: number;
  /** How long a stripe takes for its own length. */
  periodS: number;
}

/** Width and speed of an aggregated flow: by the rate's logarithm, up to 50 → thin, 10,000 → thick. */
export function flowLook(rate: number): FlowLook {
  const level = Math.min(1, Math.max(0, Math.log10(Math.max(rate, AGGREGATE_ABOVE) / AGGREGATE_ABOVE) / Math.log10(200)));
  return { widthPx: 3 + level * 7, periodS: 1.1 - level * 0.75 };
}

function pick(topics: Record<string, TopicStats>, names: string[]): Record<string, number> {
  return Object.fromEntries(names.map((name) => [name, topics[name]?.count ?? 0]));
}
