/**
 * Watches what a fault does, from the moment it was made until it is over: so that the panel can
 * tell what happened even when one was looking at the graph meanwhile.
 */

import { create } from 'zustand';

import { queryClient } from '@/lib/queries';
import { lagNow, useSimulationStore } from '@/lib/store/simulationStore';
import type { Counts, Health } from '@/lib/types';
import { levelOf } from '@/lib/ui/StatusDot';

export type ExperimentId = 'kill' | 'pause' | 'poison' | 'duplicate';

export interface Watch {
  experiment: ExperimentId;
  /** The part that was touched, for kill and pause. */
  part: string | null;
  /** How many records were published, for poison and duplicates. */
  published: number;
  startedMs: number;
  before: Counts | null;
  now: Counts | null;
  highestLag: number;
  /** The part was seen not well, and when first. */
  badAtMs: number | null;
  /** It was well again after that. */
  backAtMs: number | null;
  /** It was brought back by hand. */
  isHealed: boolean;
  caughtUpAtMs: number | null;
}

interface WatchState {
  watches: Partial<Record<ExperimentId, Watch>>;
}

const EVERY_MS = 500;
/** After this nothing more is expected to change. */
const LONGEST_MS = 15 * 60_000;

export const useWatches = create<WatchState>(() => ({ watches: {} }));

let timer: ReturnType<typeof setInterval> | undefined;

export function startWatch(experiment: ExperimentId, part: string | null, published = 0): void {
  const totals = useSimulationStore.getState().ledger?.totals ?? null;
  const watch: Watch = {
    experiment,
    part,
    published,
    startedMs: Date.now(),
    before: totals,
    now: totals,
    highestLag: totals?.in_flight ?? 0,
    badAtMs: null,
    backAtMs: null,
    isHealed: false,
    caughtUpAtMs: null,
  };
  useWatches.setState(({ watches }) => ({ watches: { ...watches, [experiment]: watch } }));
  timer ??= setInterval(update, EVERY_MS);
}

export function markHealed(experiment: ExperimentId): void {
  useWatches.setState(({ watches }) => {
    const watch = watches[experiment];
    return watch ? { watches: { ...watches, [experiment]: { ...watch, isHealed: true } } } : { watches };
  });
}

/** How many records were published is known after the call; the watch began before it. */
export function markPublished(experiment: ExperimentId, published: number): void {
  useWatches.setState(({ watches }) => {
    const watch = watches[experiment];
    return watch ? { watches: { ...watches, [experiment]: { ...watch, published } } } : { watches };
  });
}

function update(): void {
  const state = useSimulationStore.getState();
  const totals = state.ledger?.totals ?? null;
  const lag = lagNow(state);
  const health = queryClient.getQueryData<Health>(['health']);
  const now = Date.now();
  const { watches } = useWatches.getState();
  const next = Object.entries(watches).map(([id, watch]) => [id, now - watch.startedMs > LONGEST_MS ? watch : advance(watch, { totals, lag, health, nowMs: now })]);
  useWatches.setState({ watches: Object.fromEntries(next) as WatchState['watches'] });
  if (Object.values(watches).every((watch) => now - watch.startedMs > LONGEST_MS)) {
    clearInterval(timer);
    timer = undefined;
  }
}

interface Present {
  totals: Counts | null;
  lag: number | null;
  health: Health | undefined;
  nowMs: number;
}

/** One step of a watch; pure. */
export function advance(watch: Watch, { totals, lag, health, nowMs }: Present): Watch {
  const level = watch.part ? levelOf(health?.services[watch.part]?.status) : 'good';
  const isBad = level === 'bad' || level === 'warn';
  const badAtMs = watch.badAtMs ?? (isBad ? nowMs : null);
  const backAtMs = watch.backAtMs ?? (badAtMs !== null && level === 'good' ? nowMs : null);
  const isOver = watch.experiment === 'kill' ? backAtMs !== null : watch.experiment === 'pause' ? watch.isHealed : true;
  return {
    ...watch,
    now: totals ?? watch.now,
    highestLag: Math.max(watch.highestLag, lag ?? 0),
    badAtMs,
    backAtMs,
    caughtUpAtMs: watch.caughtUpAtMs ?? (isOver && lag === 0 ? nowMs : null),
  };
}
