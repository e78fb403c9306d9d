/** The lab in figures: the simulation, Kafka, and each service. */

import { TriangleAlert } from 'lucide-react';
import type { ReactNode } from 'react';

import { MetricCard } from '@/features/metrics/MetricCard';
import { useMetrics } from '@/features/metrics/useMetrics';
import { clock, count, latency, rate } from '@/lib/format';
import { hasKey, useT, type Translate } from '@/lib/i18n';
import { useHealth } from '@/lib/queries';
import { useLanguage } from '@/lib/settings';
import { isRunning } from '@/lib/simulation';
import { lagNow, useSimulationStore } from '@/lib/store/simulationStore';
import type { Metrics } from '@/lib/types';
import { describe } from '@/lib/ui/states';
import { levelOf, StatusDot } from '@/lib/ui/StatusDot';
import { Term } from '@/lib/ui/Term';

/** The order of an event's way. */
const SERVICES = ['gateway', 'simulator', 'kafka', 'registry', 'bancaire', 'postgres'];

export function MetricsDashboard() {
  const t = useT();
  const language = useLanguage();
  const { data: metrics, error, messageRates, messageRate, messageTrend, producedTrend, lagTrend } = useMetrics();
  const simulation = useSimulationStore((state) => state.simulationStatus);
  const topics = useSimulationStore((state) => state.topics);
  const lag = useSimulationStore(lagNow);
  const actual = isRunning(simulation) ? simulation.rate_actual : 0;
  const messages = Object.values(topics).reduce((total, topic) => total + topic.count, 0);
  return (
    <div data-tour="metrics" className="grid border-t border-line bg-panel md:grid-cols-2 xl:grid-cols-[1fr_1.1fr_1.25fr]" data-testid="metrics">
      <Section title={t('metrics.simulation')}>
        <div className="grid grid-cols-3 gap-4">
          <MetricCard title={t('metrics.produced')} value={count(simulation?.events_produced ?? 0, language)} testId="metric-produced" />
          <MetricCard title={t('metrics.rate')} value={rate(actual, language)} unit="/s" trend={producedTrend} />
          <MetricCard title={t('metrics.duration')} value={clock(simulation?.elapsed_seconds ?? 0)} />
        </div>
        <div className="mt-3 grid grid-cols-2 gap-4">
          <MetricCard title={<Term name="latency">{t('metrics.ack')}</Term>} value={latency(metrics?.latencies.produce_ms?.p99, language)} />
          <MetricCard title={<Term name="latency">{t('metrics.endToEnd')}</Term>} value={latency(metrics?.latencies.end_to_end_ms?.p99, language)} />
        </div>
      </Section>
      <Section title={t('metrics.kafka')}>
        <div className="grid grid-cols-[1fr_1fr_1.4fr] gap-4">
          <MetricCard title={t('metrics.messages')} value={count(messages || metrics?.kafka?.messages_total, language)} testId="metric-messages" />
          <MetricCard
            title={<Term name="lag">{t('metrics.lag')}</Term>}
            value={count(lag, language)}
            trend={lagTrend}
            testId="metric-lag"
          />
          <MetricCard title={t('metrics.perSecond')} value={rate(messageRate, language)} unit="/s" trend={messageTrend} history={messageRates} slots={30} />
        </div>
      </Section>
      <Section title={t('metrics.services')} className="md:col-span-2 xl:col-span-1">
        <Services metrics={metrics} t={t} />
        {error && !metrics && <p className="mt-2 text-xs text-bad">{describe(error).detail ?? describe(error).title}</p>}
      </Section>
    </div>
  );
}

function Section({ title, className = '', children }: { title: string; className?: string; children: ReactNode }) {
  return (
    <section aria-label={title} className={`min-w-0 border-line px-4 py-2.5 not-first:border-l max-md:not-first:border-t max-md:not-first:border-l-0 ${className}`}>
      <h2 className="mb-1.5 text-xs font-semibold text-ink-2">{title}</h2>
      {children}
    </section>
  );
}

function Services({ metrics, t }: { metrics: Metrics | undefined; t: Translate }) {
  const language = useLanguage();
  const { data: health, isError } = useHealth();
  return (
    <ul className="grid grid-cols-2 gap-x-4 gap-y-1 text-[0.8125rem]">
      {SERVICES.map((name) => {
        const state = isError ? undefined : health?.services[name];
        const level = levelOf(state?.status);
        const figures = metrics?.services.find((service) => service.name === name);
        const errors = figures?.errors_recent.reduce((total, { count: n }) => total + n, 0) ?? 0;
        const workMs = figures?.latency_ms ?? state?.latency_ms ?? undefined;
        const key = `service.${name}`;
        const kinds = figures?.errors_recent.map(({ kind, count: n }) => `${kind} × ${String(n)}`).join(', ');
        return (
          <li key={name} className="flex min-w-0 items-center gap-1.5" data-testid={`service-${name}`} data-level={level} title={state?.reason ?? undefined}>
            <StatusDot level={level} />
            <span className="min-w-0 flex-1 truncate">
              {hasKey(key) ? t(key) : name}
            </span>
            {errors > 0 && (
              <span className="flex shrink-0 items-center gap-0.5 text-xs text-warn" title={kinds}>
                <TriangleAlert aria-hidden className="size-3" />
                <span aria-hidden>{count(errors, language)}</span>
                <span className="sr-only">{t('metrics.errors', { count: count(errors, language) })}</span>
              </span>
            )}
            <span className={`min-w-11 shrink-0 text-right text-xs ${level === 'good' ? 'text-ink-3' : level === 'bad' ? 'text-bad' : 'text-ink-2'}`}>
              {level === 'good' ? (workMs === undefined ? '' : latency(workMs, language)) : t(`level.${level}`)}
            </span>
          </li>
        );
      })}
    </ul>
  );
}
