/** One dead letter: what it says, its bytes, and an editor to mend and send it again. */

import { useState } from 'react';

import { gatewayApi } from '@/lib/api';
import { accountOf, eventTypeOf, type EventType } from '@/lib/eventTypes';
import { moment } from '@/lib/format';
import { hasKey, useT } from '@/lib/i18n';
import { refreshAll } from '@/lib/queries';
import { pathOf } from '@/lib/router';
import { useLanguage } from '@/lib/settings';
import { showToast } from '@/lib/toasts';
import type { DeadLetter } from '@/lib/types';
import { Button } from '@/lib/ui/controls';
import { Drawer } from '@/lib/ui/Drawer';
import { EventTag } from '@/lib/ui/EventTag';
import { Link } from '@/lib/ui/Link';
import { Facts } from '@/lib/ui/page';
import { describe } from '@/lib/ui/states';
import { Term } from '@/lib/ui/Term';
import { WireBytes } from '@/lib/ui/WireBytes';
import { eventTemplate, validateEvent } from '@/lib/validateEvent';

export function DeadLetterDetail({ letter, onClose }: { letter: DeadLetter; onClose: () => void }) {
  const t = useT();
  const language = useLanguage();
  const kind = `poison.${letter.kind}`;
  const type = eventTypeOf(letter.original_topic);
  return (
    <Drawer title={hasKey(kind) ? t(kind) : letter.kind} onClose={onClose}>
      <div className="space-y-5 p-4" data-testid="dead-letter-detail">
        <section className="space-y-2">
          <p className="[overflow-wrap:anywhere]">{letter.message}</p>
          <Facts
            rows={[
              [t('dlq.meantFor'), <EventTag key="v" topic={letter.original_topic} />],
              [<Term key="p" name="partition" />, String(letter.partition)],
              [
                <Term key="o" name="offset" />,
                <Link key="v" to={pathOf('events', null, { record: letter.key })}>
                  {letter.offset}
                </Link>,
              ],
              [t('dlq.when'), moment(letter.timestamp, language)],
              [t('dlq.attempts'), String(letter.attempt_count)],
              [t('dlq.state'), t(letter.replayed ? 'dlq.replayed' : 'dlq.waiting')],
            ]}
          />
        </section>
        <section>
          <h3 className="mb-1 text-xs font-semibold text-ink-2">{t('event.bytes')}</h3>
          <WireBytes base64={letter.value_base64 ?? null} />
          {letter.decoded?.stopped && letter.decoded.stopped !== letter.message && <p className="mt-2 text-[0.8125rem] text-bad">{t('dlq.stopped', { where: letter.decoded.stopped })}</p>}
        </section>
        {type && <Mend letter={letter} type={type} />}
      </div>
    </Drawer>
  );
}

function hasFields(letter: DeadLetter): boolean {
  return Object.keys(letter.decoded?.fields ?? {}).length > 0;
}

function Mend({ letter, type }: { letter: DeadLetter; type: EventType }) {
  const t = useT();
  const [text, setText] = useState(() => JSON.stringify(draft(letter, type), null, 2));
  const [isBusy, setBusy] = useState(false);
  const [sent, setSent] = useState<Record<string, unknown> | null>(null);
  const { event, problems } = validateEvent(type, text);

  const replay = async (mended?: Record<string, unknown>) => {
    setBusy(true);
    try {
      const { topic } = await gatewayApi.replay(letter.key, mended);
      showToast({ tone: 'good', title: t('dlq.sent'), detail: t(mended ? 'dlq.sent.mended' : 'dlq.sent.original', { topic }) });
      setSent(mended ?? null);
      refreshAll();
    } catch (failure) {
      // What was typed stays.
      showToast({ tone: 'bad', ...describe(failure) });
    } finally {
      setBusy(false);
    }
  };
  const account = sent && accountOf(letter.original_topic, sent);
  const eventId = typeof sent?.event_id === 'string' ? sent.event_id : undefined;
  return (
    <section className="space-y-2">
      <h3 className="text-xs font-semibold text-ink-2">{t('dlq.mend')}</h3>
      <p className="text-[0.8125rem] text-ink-2">{t(hasFields(letter) ? 'dlq.mend.decoded' : 'dlq.mend.template', { type })}</p>
      <textarea
        aria-label={t('dlq.mend')}
        aria-invalid={problems.length > 0 ? true : undefined}
        aria-describedby="mend-problems"
        data-testid="mend"
        spellCheck={false}
        value={text}
        onChange={(change) => {
          setText(change.target.value);
        }}
        rows={14}
        className={`w-full rounded-md border bg-panel p-2 font-mono text-xs leading-5 ${problems.length > 0 ? 'border-bad' : 'border-edge/60'}`}
      />
      <ul id="mend-problems" className="space-y-0.5 text-xs text-bad">
        {problems.map(({ key, params }, index) => (
          <li key={index}>{t(key, params)}</li>
        ))}
      </ul>
      <div className="flex flex-wrap gap-2">
        <Button tone="primary" data-testid="replay-mended" disabled={!event || isBusy} onClick={() => event && void replay(event)}>
          {t('dlq.replay.mended')}
        </Button>
        <Button data-testid="replay-original" disabled={isBusy} onClick={() => void replay()}>
          {t('dlq.replay.original')}
        </Button>
      </div>
      <p className="text-xs text-ink-3">{t('dlq.replay.hint')}</p>
      {account && <Link to={pathOf('accounts', account, eventId ? { event: eventId } : {})}>{t('event.follow')}</Link>}
    </section>
  );
}

/** What could be read, completed by an example of what could not; the record's key says which
 * account it was about, even when the value cannot be read. */
function draft(letter: DeadLetter, type: EventType): Record<string, unknown> {
  const template = eventTemplate(type, letter.record_key ?? undefined, new Date());
  const known = Object.entries(letter.decoded?.fields ?? {}).filter(([name]) => name in template);
  return { ...template, ...Object.fromEntries(known) };
}
