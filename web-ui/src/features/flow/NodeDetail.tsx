/** What a part is, how it is now, what it last wrote into its log, and where its code is. */

import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef, type ReactNode } from 'react';

import { NODES, type NodeId } from '@/features/flow/graph';
import { useNodeFigures } from '@/features/flow/useFlowData';
import { ApiError, labApi } from '@/lib/api';
import { bytes, count, latency, logLine, rate } from '@/lib/format';
import { useT } from '@/lib/i18n';
import { useHealth, useLab } from '@/lib/queries';
import { pathOf } from '@/lib/router';
import { useLanguage } from '@/lib/settings';
import { lagNow, useSimulationStore } from '@/lib/store/simulationStore';
import { Drawer } from '@/lib/ui/Drawer';
import { Link } from '@/lib/ui/Link';
import { Facts } from '@/lib/ui/page';
import { StatusDot } from '@/lib/ui/StatusDot';

const LOG_LINES = 40;

export function NodeDetail({ id, onClose }: { id: NodeId; onClose: () => void }) {
  const t = useT();
  const info = NODES[id];
  const { level, reason } = useNodeFigures(id);
  return (
    <Drawer title={t(info.title)} onClose={onClose} key={id}>
      <div className="space-y-5 p-4">
        <p className="text-ink-2">{t(info.about)}</p>
        {info.service && (
          <p className="flex items-start gap-2">
            <StatusDot level={level} className="mt-1.5" />
            <span>
              <span className="font-medium">{t(`level.${level}`)}</span>
              {reason && <span className="block text-ink-2 [overflow-wrap:anywhere]">{reason}</span>}
            </span>
          </p>
        )}
        <Figures id={id} />
        {info.code && (
          <section>
            <h3 className="mb-1 text-xs font-semibold text-ink-2">{t('node.code')}</h3>
            <code className="text-[0.8125rem]">{info.code}</code>
          </section>
        )}
        {info.log && <Log name={info.log} />}
      </div>
    </Drawer>
  );
}

function Figures({ id }: { id: NodeId }) {
  const t = useT();
  const language = useLanguage();
  const { service, counter } = NODES[id];
  const { data: health } = useHealth();
  const { data: lab } = useLab();
  const { counter: total, history } = useNodeFigures(id);
  const metrics = useSimulationStore((state) => state.metrics);
  const lag = useSimulationStore(lagNow);
  const part = lab?.parts.find(({ name }) => name === id);
  const state = service && id !== 'dlq' ? health?.services[service] : undefined;
  const rows: [ReactNode, ReactNode][] = [];
  if (counter) rows.push([t(counter), count(total, language)]);
  if (counter) rows.push([t('node.rate'), `${rate(history.at(-1), language)} /s`]);
  if (state?.latency_ms !== undefined) rows.push([t('node.answer'), latency(state.latency_ms, language)]);
  if (state?.circuit) rows.push([t('node.circuit'), state.circuit]);
  if (id === 'simulator') rows.push([t('node.ack'), latency(metrics?.latencies.produce_ms?.p99, language)]);
  if (id === 'bancaire') {
    rows.push([t('term.lag'), count(lag, language)]);
    rows.push([t('node.endToEnd'), latency(metrics?.latencies.end_to_end_ms?.p99, language)]);
  }
  if (part) {
    rows.push([t('node.process'), part.pid ? `pid ${String(part.pid)}` : '–']);
    rows.push([t('node.memory'), bytes(part.rss_bytes, language)]);
    if (part.url) rows.push([t('node.address'), part.url]);
  }
  const target = { kafka: 'kafka', bancaire: 'ledger', postgres: 'accounts', dlq: 'dead-letters', simulator: 'events' } as const;
  return (
    <section className="space-y-2">
      {rows.length > 0 && <Facts rows={rows} />}
      {id !== 'client360' && <Link to={pathOf(target[id])}>{t(`node.${id}.link`)}</Link>}
    </section>
  );
}

function Log({ name }: { name: string }) {
  const t = useT();
  const { data, error } = useQuery({
    queryKey: ['log', name],
    queryFn: () => labApi.logs(name, LOG_LINES),
    refetchInterval: ({ state }) => (state.error ? false : 2000),
    retry: false,
  });
  // The newest line is the last one: that is what is shown first.
  const end = useRef<HTMLPreElement>(null);
  useEffect(() => {
    if (end.current) end.current.scrollTop = end.current.scrollHeight;
  }, [data]);
  return (
    <section>
      <h3 className="mb-1 text-xs font-semibold text-ink-2">{t('node.log')}</h3>
      {data && data.lines.length > 0 && (
        <pre ref={end} tabIndex={0} aria-label={t('node.log')} className="max-h-72 overflow-auto rounded-md bg-sunk p-2 font-mono text-2xs leading-4 [overflow-wrap:anywhere] whitespace-pre-wrap">
          {data.lines.map(logLine).join('\n')}
        </pre>
      )}
      {data?.lines.length === 0 && <p className="text-ink-3">{t('node.log.empty')}</p>}
      {error && <p className="text-[0.8125rem] text-ink-3">{error instanceof ApiError ? (error.problem.detail ?? error.problem.title) : t('node.log.away')}</p>}
    </section>
  );
}
