/** One record, whole: the decoded event, where it lies, its headers, and its bytes explained. */

import { useQuery } from '@tanstack/react-query';

import { gatewayApi } from '@/lib/api';
import { accountOf, inSchemaOrder } from '@/lib/eventTypes';
import { bytes, moment } from '@/lib/format';
import { useT } from '@/lib/i18n';
import { useLab } from '@/lib/queries';
import { pathOf } from '@/lib/router';
import { useLanguage } from '@/lib/settings';
import { useSimulationStore } from '@/lib/store/simulationStore';
import type { KafkaRecord } from '@/lib/types';
import { Drawer } from '@/lib/ui/Drawer';
import { EventTag } from '@/lib/ui/EventTag';
import { Link } from '@/lib/ui/Link';
import { Facts } from '@/lib/ui/page';
import { Failed, Loading } from '@/lib/ui/states';
import { Term } from '@/lib/ui/Term';
import { WireBytes } from '@/lib/ui/WireBytes';

export interface RecordAddress {
  topic: string;
  partition: number;
  offset: number;
}

export function EventDetail({ address, onClose }: { address: RecordAddress; onClose: () => void }) {
  const { topic, partition, offset } = address;
  const record = useQuery({
    queryKey: ['record', topic, partition, offset],
    queryFn: () => gatewayApi.record(topic, partition, offset),
    // A record never changes.
    staleTime: Infinity,
  });
  return (
    <Drawer title={<EventTag topic={topic} />} onClose={onClose}>
      {record.isPending && <Loading />}
      {record.error && <Failed error={record.error} retry={() => void record.refetch()} />}
      {record.data && <Content record={record.data} />}
    </Drawer>
  );
}

function Content({ record }: { record: KafkaRecord }) {
  const t = useT();
  const language = useLanguage();
  const { data: lab } = useLab();
  const { topic, partition, offset } = record;
  const seen = useSimulationStore((state) =>
    state.events.find((item) => item.kind === 'event' && item.topic === topic && item.partition === partition && item.offset === offset),
  );
  const account = accountOf(topic, record.event);
  const eventId = idOf(record.event);
  const trace = traceOf(record.headers);
  const jaeger = lab?.parts.find(({ name }) => name === 'jaeger')?.url;
  return (
    <div className="space-y-5 p-4" data-testid="event-detail">
      {account && (
        <Link
          to={pathOf('accounts', account, eventId ? { event: eventId } : {})}
          data-testid="follow"
          className="inline-flex h-8 items-center rounded-md bg-accent px-3 text-[0.8125rem] font-medium text-accent-ink"
        >
          {t('event.follow')}
        </Link>
      )}
      <section>
        <h3 className="mb-1 text-xs font-semibold text-ink-2">{t('event.decoded')}</h3>
        {record.event !== null && record.event !== undefined ? (
          <pre tabIndex={0} aria-label={t('event.decoded')} className="overflow-x-auto rounded-md bg-sunk p-3 font-mono text-xs leading-5">
            {JSON.stringify(inSchemaOrder(topic, record.event), null, 2)}
          </pre>
        ) : (
          <p className="rounded-md border border-bad/40 p-3">
            <span className="font-medium text-bad">{record.error?.kind ?? t('events.undecodable')}</span>
            <span className="block [overflow-wrap:anywhere]">{record.error?.message ?? t('event.noValue')}</span>
            <Link to={pathOf('dead-letters')}>{t('event.seeDeadLetters')}</Link>
          </p>
        )}
      </section>
      <section>
        <h3 className="mb-1 text-xs font-semibold text-ink-2">{t('event.where')}</h3>
        <Facts
          rows={[
            [<Term key="t" name="topic" />, topic],
            [<Term key="p" name="partition" />, String(partition)],
            [<Term key="o" name="offset" />, String(offset)],
            [<Term key="k" name="key" />, <code key="v" className="font-mono text-xs">{record.key ?? '–'}</code>],
            [t('event.time'), record.timestamp ? moment(record.timestamp, language) : '–'],
            [t('event.size'), bytes(record.size, language)],
            [<Term key="l" name="latency" />, seen?.kind === 'event' && seen.latencyMs !== null ? `${seen.latencyMs.toFixed(1)} ms` : '–'],
            [<Term key="tr" name="trace" />, <Trace key="v" id={trace} jaeger={jaeger} />],
          ]}
        />
      </section>
      <section>
        <h3 className="mb-1 text-xs font-semibold text-ink-2">{t('event.headers')}</h3>
        {Object.keys(record.headers).length === 0 ? (
          <p className="text-ink-3">{t('event.noHeaders')}</p>
        ) : (
          <Facts rows={Object.entries(record.headers).map(([name, value]) => [name, <code key={name} className="font-mono text-xs">{value}</code>])} />
        )}
      </section>
      <section>
        <h3 className="mb-1 text-xs font-semibold text-ink-2">{t('event.bytes')}</h3>
        <WireBytes base64={record.value_base64 ?? null} isJson={topic === 'system.dlq'} />
      </section>
    </div>
  );
}

function Trace({ id, jaeger }: { id: string | undefined; jaeger: string | null | undefined }) {
  if (!id) return <>–</>;
  const code = <code className="font-mono text-xs">{id}</code>;
  if (!jaeger) return code;
  return (
    <a href={`${jaeger.replace(/\/$/, '')}/trace/${encodeURIComponent(id)}`} target="_blank" rel="noreferrer" className="text-accent hover:underline">
      {code}
    </a>
  );
}

/** W3C: version-traceid-spanid-flags. */
function traceOf(headers: Record<string, string>): string | undefined {
  return /^[0-9a-f]{2}-([0-9a-f]{32})-/.exec(headers.traceparent ?? '')?.[1];
}

function idOf(event: unknown): string | undefined {
  const id = typeof event === 'object' && event !== null ? (event as { event_id?: unknown }).event_id : undefined;
  return typeof id === 'string' ? id : undefined;
}
