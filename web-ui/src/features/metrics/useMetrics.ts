/**
 * The dashboard's figures: the gateway's metrics every other second, made live by the stream's
 * counters, with moving averages and trends.
 */

import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';

import type { Trend } from '@/features/metrics/MetricCard';
import { gatewayApi } from '@/lib/api';
import { useSimulationStore } from '@/lib/store/simulationStore';
import { ratesOf } from '@/lib/ui/Sparkline';

const POLL_MS = 2000;
/** The window of the moving average, in seconds. */
const WINDOW_S = 5;
/** A few records are always between the broker and bancaire. */
const LAG_CALM = 10;

export function useMetrics() {
  const query = useQuery({
    queryKey: ['metrics'],
    queryFn: async () => {
      const metrics = await gatewayApi.metrics();
      useSimulationStore.getState().updateMetrics(metrics);
      return metrics;
    },
    refetchInterval: POLL_MS,
  });
  const samples = useSimulationStore((state) => state.history);
  const derived = useMemo(() => {
    const messageRates = ratesOf(samples, (sample) => sample.messages);
    const producedRates = ratesOf(samples, (sample) => sample.produced);
    return {
      messageRates,
      messageRate: movingAverage(messageRates, WINDOW_S),
      messageTrend: trendOf(messageRates),
      producedTrend: trendOf(producedRates),
      lagTrend: trendOf(samples.map((sample) => sample.lag), LAG_CALM),
    };
  }, [samples]);
  return { ...query, ...derived };
}

/** The mean of the last `window` known values; 0 when none is known. */
export function movingAverage(values: (number | null)[], window: number): number {
  const known = values.slice(-window).filter((value) => value !== null);
  return known.length === 0 ? 0 : known.reduce((a, b) => a + b, 0) / known.length;
}

/** Where it is heading: the last seconds against the ones before, with a tenth and `calm` of
 * difference that mean nothing. */
export function trendOf(values: (number | null)[], calm = 0.1): Trend {
  const now = movingAverage(values.slice(-WINDOW_S), WINDOW_S);
  const before = movingAverage(values.slice(0, -WINDOW_S), WINDOW_S);
  if (now > before * 1.1 + calm) return 'up';
  if (now < before * 0.9 - calm) return 'down';
  return 'flat';
}
