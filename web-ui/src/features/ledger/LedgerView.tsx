/** The conservation ledger: every record of the log is accounted for, live, per topic. */

import { CircleCheck, TriangleAlert } from 'lucide-react';
import type { ReactNode } from 'react';

import { eventTypeOf } from '@/lib/eventTypes';
import { count } from '@/lib/format';
import { useT } from '@/lib/i18n';
import { recordsOf } from '@/lib/ledger';
import { useLedger } from '@/lib/queries';
import { pathOf } from '@/lib/router';
import { useLanguage } from '@/lib/settings';
import type { TermName } from '@/lib/terms';
import type { Counts, Ledger } from '@/lib/types';
import { EventTag } from '@/lib/ui/EventTag';
import { Link } from '@/lib/ui/Link';
import { NUMBER, Page, TableFrame, TD, TH } from '@/lib/ui/page';
import { Failed, Loading } from '@/lib/ui/states';
import { Term } from '@/lib/ui/Term';

/** The kinds of which a record is exactly one, in the order of the equation. */
const KINDS: { field: keyof Counts; term: TermName | null }[] = [
  { field: 'applied', term: 'applied' },
  { field: 'rejected', term: 'rejected' },
  { field: 'parked', term: 'parked' },
  { field: 'dead_lettered', term: 'dead-letter' },
  { field: 'duplicates', term: 'duplicate' },
  { field: 'in_flight', term: 'in-flight' },
];

export function LedgerView() {
  const t = useT();
  const ledger = useLedger();
  return (
    <Page title={t('ledger.title')} intro={t('ledger.intro')}>
      {ledger.isPending ? (
        <Loading lines={8} />
      ) : ledger.data ? (
        <Books ledger={ledger.data} isStale={ledger.isError} />
      ) : (
        <Failed error={ledger.error} retry={() => void ledger.refetch()} />
      )}
    </Page>
  );
}

function Books({ ledger, isStale }: { ledger: Ledger; isStale: boolean }) {
  const t = useT();
  const language = useLanguage();
  const { totals } = ledger;
  return (
    <div className="flex h-full flex-col">
      <div className="space-y-2 px-4 pb-3">
        <p
          role="status"
          data-testid="balanced"
          data-balanced={ledger.balanced}
          className={`flex items-center gap-2 font-medium ${ledger.balanced ? 'text-good' : 'text-bad'}`}
        >
          {ledger.balanced ? <CircleCheck aria-hidden className="size-4" /> : <TriangleAlert aria-hidden className="size-4" />}
          {t(ledger.balanced ? 'ledger.balanced' : 'ledger.unbalanced')}
        </p>
        {!ledger.balanced && <p className="max-w-3xl text-ink-2">{t('ledger.unbalanced.meaning')}</p>}
        {isStale && <p className="text-warn">{t('ledger.stale')}</p>}
        <p className="flex flex-wrap items-baseline gap-x-2 gap-y-1" data-testid="equation">
          <Figure value={recordsOf(totals)} name={<Term name="event">{t('ledger.produced')}</Term>} />
          <span className="text-ink-3">=</span>
          {KINDS.map(({ field, term }, index) => (
            <span key={field} className="flex items-baseline gap-2">
              {index > 0 && <span className="text-ink-3">+</span>}
              <Figure value={totals[field] as number | null} name={term ? <Term name={term}>{t(`ledger.${field}` as 'ledger.applied')}</Term> : field} />
            </span>
          ))}
        </p>
        <p className="text-xs text-ink-3">
          <Term name="outbox">{t('ledger.outbox', { count: count(ledger.outbox_pending, language) })}</Term>
          {' · '}
          <Link to={pathOf('dead-letters')}>{t('ledger.published', { count: count(ledger.dead_letters_published, language) })}</Link>
          {totals.absent > 0 && ` · ${t('ledger.absent', { count: count(totals.absent, language) })}`}
        </p>
      </div>
      <div className="min-h-0 flex-1">
        <TableFrame label={t('ledger.title')}>
          <table className="w-full border-separate border-spacing-0 text-[0.8125rem]">
            <thead>
              <tr>
                <th className={TH}>
                  <Term name="topic" />
                </th>
                <th className={`${TH} ${NUMBER}`}>{t('ledger.produced')}</th>
                {KINDS.map(({ field, term }) => (
                  <th key={field} className={`${TH} ${NUMBER}`}>
                    {term ? <Term name={term}>{t(`ledger.${field}` as 'ledger.applied')}</Term> : field}
                  </th>
                ))}
                <th className={TH}>{t('ledger.verdict')}</th>
              </tr>
            </thead>
            <tbody>
              {ledger.topics.map((topic) => (
                <tr key={topic.topic} data-testid="ledger-row">
                  <td className={TD} title={topic.topic}>
                    {eventTypeOf(topic.topic) ? <EventTag topic={topic.topic} /> : topic.topic}
                  </td>
                  <Row counts={topic} />
                </tr>
              ))}
              <tr className="font-semibold">
                <td className={TD}>{t('ledger.total')}</td>
                <Row counts={totals} />
              </tr>
            </tbody>
          </table>
        </TableFrame>
      </div>
    </div>
  );
}

function Row({ counts }: { counts: Counts }) {
  const t = useT();
  const language = useLanguage();
  const emphasis: Partial<Record<keyof Counts, string>> = { dead_lettered: 'text-bad', parked: 'text-warn', in_flight: 'text-warn' };
  return (
    <>
      <td className={`${TD} ${NUMBER}`}>{count(recordsOf(counts), language)}</td>
      {KINDS.map(({ field }) => {
        const value = counts[field] as number | null | undefined;
        return (
          <td key={field} className={`${TD} ${NUMBER} ${value ? (emphasis[field] ?? '') : 'text-ink-3'}`}>
            {count(value, language)}
          </td>
        );
      })}
      <td className={`${TD} ${counts.balanced ? 'text-good' : 'text-bad'}`}>
        <span className="flex items-center gap-1.5">
          {counts.balanced ? <CircleCheck aria-hidden className="size-3.5" /> : <TriangleAlert aria-hidden className="size-3.5" />}
          {t(counts.balanced ? 'ledger.ok' : 'ledger.notOk')}
        </span>
      </td>
    </>
  );
}

function Figure({ value, name }: { value: number | null; name: ReactNode }) {
  const language = useLanguage();
  return (
    <span className="inline-flex flex-col">
      <span className="text-lg leading-6 font-semibold">{count(value, language)}</span>
      <span className="text-xs text-ink-3 first-letter:uppercase">{name}</span>
    </span>
  );
}
