/** The stream as a table: what just passed, one line per event; a click shows the whole of it. */

import { Pause, Play } from 'lucide-react';
import { memo, useDeferredValue, useMemo, useState } from 'react';

import { EventDetail, type RecordAddress } from '@/features/events/EventDetail';
import { DLQ_TOPIC, EVENT_TYPES, EVENTS, topicLabel } from '@/lib/eventTypes';
import { age, count, latency, moment, shortId } from '@/lib/format';
import { useT } from '@/lib/i18n';
import { pathOf, replace, useRoute } from '@/lib/router';
import { useLanguage } from '@/lib/settings';
import { useSimulationStore, type StreamEvent, type StreamGap, type StreamItem } from '@/lib/store/simulationStore';
import { Button, SelectField, TextField } from '@/lib/ui/controls';
import { EventTag } from '@/lib/ui/EventTag';
import { NUMBER, Page, TableFrame, TD, TH } from '@/lib/ui/page';
import { onPress } from '@/lib/ui/press';
import { Empty } from '@/lib/ui/states';
import { Term } from '@/lib/ui/Term';
import { useNow } from '@/lib/ui/useNow';

/** Lines on screen; the store holds more, for the filter. */
const ROWS_MAX = 100;

export function EventTable() {
  const t = useT();
  const language = useLanguage();
  const live = useSimulationStore((state) => state.events);
  const topics = useSimulationStore((state) => state.topics);
  const [frozen, setFrozen] = useState<StreamItem[] | null>(null);
  const [topic, setTopic] = useState('');
  const [text, setText] = useState('');
  const open = useRoute((route) => route.search.get('record'));
  // While the stream is busy, typing and clicking come first.
  const items = useDeferredValue(frozen ?? live);
  const rows = useMemo(() => filter(items, topic, text).slice(0, ROWS_MAX), [items, topic, text]);
  const sampledOut = Object.values(topics).reduce((total, { sampled_out: n }) => total + n, 0);
  const address = open ? parseAddress(open) : undefined;

  return (
    <Page
      title={t('events.title')}
      intro={t('events.intro')}
      actions={
        <>
          <div className="w-44">
            <SelectField
              label={t('events.filter.type')}
              value={topic}
              onChange={(event) => {
                setTopic(event.target.value);
              }}
            >
              <option value="">{t('events.filter.all')}</option>
              {[...EVENT_TYPES.map((type) => EVENTS[type].topic), DLQ_TOPIC].map((name) => (
                <option key={name} value={name}>
                  {topicLabel(name)}
                </option>
              ))}
            </SelectField>
          </div>
          <div className="w-44">
            <TextField
              label={t('events.filter.text')}
              type="search"
              value={text}
              placeholder={t('events.filter.placeholder')}
              onChange={(event) => {
                setText(event.target.value);
              }}
            />
          </div>
          <Button
            aria-pressed={frozen !== null}
            onClick={() => {
              setFrozen(frozen ? null : live);
            }}
          >
            {frozen ? <Play aria-hidden className="size-3.5" /> : <Pause aria-hidden className="size-3.5" />}
            {frozen ? t('events.resume') : t('events.pause')}
          </Button>
        </>
      }
    >
      <div className="relative h-full">
        <TableFrame label={t('events.title')}>
          {sampledOut > 0 && <p className="px-3 py-1.5 text-xs text-ink-3">{t('events.sampled', { count: count(sampledOut, language) })}</p>}
          {rows.length === 0 ? (
            <Empty title={t(items.length === 0 ? 'events.empty' : 'events.noMatch')}>{t(items.length === 0 ? 'events.empty.hint' : 'events.noMatch.hint')}</Empty>
          ) : (
            <Rows rows={rows} openId={open} />
          )}
        </TableFrame>
        {address && (
          <EventDetail
            key={open}
            address={address}
            onClose={() => {
              replace(pathOf('events'));
            }}
          />
        )}
      </div>
    </Page>
  );
}

function Rows({ rows, openId }: { rows: StreamItem[]; openId: string | null }) {
  const t = useT();
  const language = useLanguage();
  const now = useNow();
  return (
    <table className="w-full border-separate border-spacing-0 text-[0.8125rem]">
      <thead>
        <tr>
          <th className={TH}>{t('events.type')}</th>
          <th className={TH}>
            <Term name="key" />
          </th>
          <th className={`${TH} ${NUMBER}`}>
            <Term name="partition" />
          </th>
          <th className={`${TH} ${NUMBER}`}>
            <Term name="offset" />
          </th>
          <th className={`${TH} ${NUMBER}`}>{t('events.age')}</th>
          <th className={`${TH} ${NUMBER}`}>
            <Term name="latency" />
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) =>
          row.kind === 'gap' ? (
            <Gap key={row.id} gap={row} />
          ) : (
            <Row key={row.id} event={row} age={age(now - row.receivedAt)} isOpen={row.id === openId} latency={latency(row.latencyMs, language)} />
          ),
        )}
      </tbody>
    </table>
  );
}

const Row = memo(function Row({ event, age: ageText, latency: latencyText, isOpen }: { event: StreamEvent; age: string; latency: string; isOpen: boolean }) {
  const t = useT();
  const show = () => {
    replace(pathOf('events', null, { record: event.id }));
  };
  return (
    <tr data-testid="event-row" data-type={event.eventType} className={`cursor-pointer ${isOpen ? 'bg-accent-soft' : 'hover:bg-sunk'}`} onMouseDown={onPress(show)}>
      <td className={TD}>
        {/* The line's button, for the keyboard; the rest of the line is for the mouse. */}
        <button
          type="button"
          className="text-left"
          onClick={show}
        >
          <EventTag topic={event.topic} />
        </button>
        {event.error && <span className="ml-2 text-xs text-bad">{t('events.undecodable')}</span>}
      </td>
      <td className={`${TD} max-w-56 truncate font-mono text-xs`} title={event.key ?? undefined}>
        {event.key === null ? '–' : shortId(event.key)}
      </td>
      <td className={`${TD} ${NUMBER}`}>{event.partition}</td>
      <td className={`${TD} ${NUMBER}`}>{event.offset}</td>
      <td className={`${TD} ${NUMBER} w-20 text-ink-2`}>{ageText}</td>
      <td className={`${TD} ${NUMBER} w-24 text-ink-2`}>{latencyText}</td>
    </tr>
  );
});

function Gap({ gap }: { gap: StreamGap }) {
  const t = useT();
  const language = useLanguage();
  const parameters = {
    from: moment(gap.fromMs, language),
    seconds: ((gap.toMs - gap.fromMs) / 1000).toFixed(1),
    count: count(gap.missed, language),
  };
  return (
    <tr data-testid="gap-row">
      <td colSpan={6} className="border-y border-dashed border-warn bg-sunk px-3 py-2 text-xs text-warn">
        {gap.why === 'lagged' ? t('gap.lagged', parameters) : t(gap.missed === null ? 'gap.away.unknown' : 'gap.away', parameters)}
      </td>
    </tr>
  );
}

/** Gaps are never filtered away: they are about every type. */
export function filter(items: StreamItem[], topic: string, text: string): StreamItem[] {
  const words = text.trim().toLowerCase();
  return items.filter((item) => {
    if (item.kind === 'gap') return true;
    if (topic !== '' && item.topic !== topic) return false;
    return words === '' || (item.key ?? '').toLowerCase().includes(words) || JSON.stringify(item.event ?? '').toLowerCase().includes(words);
  });
}

/** topic-partition-offset; a topic may have hyphens itself. */
export function parseAddress(id: string): RecordAddress | undefined {
  const match = /^(.+)-(\d+)-(\d+)$/.exec(id);
  return match ? { topic: match[1] ?? '', partition: Number(match[2]), offset: Number(match[3]) } : undefined;
}
