/** The records that could not be processed: why, what can be read of them, and the way to send
 * them again once they are mended. */

import { useQuery } from '@tanstack/react-query';

import { DeadLetterDetail } from '@/features/deadletters/DeadLetterDetail';
import { gatewayApi } from '@/lib/api';
import { count, moment } from '@/lib/format';
import { hasKey, useT } from '@/lib/i18n';
import { pathOf, replace, useRoute } from '@/lib/router';
import { useLanguage } from '@/lib/settings';
import type { DeadLetter } from '@/lib/types';
import { EventTag } from '@/lib/ui/EventTag';
import { Link } from '@/lib/ui/Link';
import { NUMBER, Page, TableFrame, TD, TH } from '@/lib/ui/page';
import { onPress } from '@/lib/ui/press';
import { Empty, Failed, Loading } from '@/lib/ui/states';
import { Term } from '@/lib/ui/Term';

const LIMIT = 100;

export function DeadLettersView() {
  const t = useT();
  const language = useLanguage();
  const open = useRoute((route) => route.search.get('letter'));
  const letters = useQuery({ queryKey: ['dead-letters'], queryFn: () => gatewayApi.deadLetters(LIMIT), refetchInterval: 2000 });
  const rows = letters.data?.dead_letters ?? [];
  const shown = rows.find(({ key }) => key === open);
  return (
    <Page
      title={t('dlq.title')}
      intro={
        <>
          <Term name="dead-letter">{t('dlq.what')}</Term> {t('dlq.intro')}
        </>
      }
    >
      {letters.isPending ? (
        <Loading lines={6} />
      ) : !letters.data ? (
        <Failed error={letters.error} retry={() => void letters.refetch()} />
      ) : (
        <div className="relative h-full">
          <TableFrame label={t('dlq.title')}>
            {rows.length === 0 ? (
              <Empty title={t('dlq.empty')}>
                {t('dlq.empty.hint')} <Link to={pathOf('break')}>{t('nav.break')}</Link>
              </Empty>
            ) : (
              <>
                <Table rows={rows} openKey={open} />
                {letters.data.total > rows.length && (
                  <p className="p-3 text-xs text-ink-3">{t('dlq.more', { shown: count(rows.length, language), total: count(letters.data.total, language) })}</p>
                )}
              </>
            )}
          </TableFrame>
          {shown && (
            <DeadLetterDetail
              key={shown.key}
              letter={shown}
              onClose={() => {
                replace(pathOf('dead-letters'));
              }}
            />
          )}
        </div>
      )}
    </Page>
  );
}

function Table({ rows, openKey }: { rows: DeadLetter[]; openKey: string | null }) {
  const t = useT();
  return (
    <table className="w-full border-separate border-spacing-0 text-[0.8125rem]">
      <thead>
        <tr>
          <th className={TH}>{t('dlq.reason')}</th>
          <th className={TH}>{t('dlq.meantFor')}</th>
          <th className={`${TH} ${NUMBER}`}>
            <Term name="partition" />
          </th>
          <th className={`${TH} ${NUMBER}`}>
            <Term name="offset" />
          </th>
          <th className={TH}>{t('dlq.when')}</th>
          <th className={TH}>{t('dlq.state')}</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((letter) => (
          <Row key={letter.key} letter={letter} isOpen={letter.key === openKey} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ letter, isOpen }: { letter: DeadLetter; isOpen: boolean }) {
  const t = useT();
  const language = useLanguage();
  const kind = `poison.${letter.kind}`;
  const show = () => {
    replace(pathOf('dead-letters', null, { letter: letter.key }));
  };
  return (
    <tr data-testid="dead-letter-row" data-key={letter.key} className={`cursor-pointer ${isOpen ? 'bg-accent-soft' : 'hover:bg-sunk'}`} onMouseDown={onPress(show)}>
      <td className={`${TD} max-w-96`}>
        <button
          type="button"
          className="block max-w-full truncate text-left"
          onClick={show}
        >
          <span className="font-medium">{hasKey(kind) ? t(kind) : letter.kind}</span>
          <span className="ml-2 text-ink-3">{letter.message}</span>
        </button>
      </td>
      <td className={TD}>
        <EventTag topic={letter.original_topic} />
      </td>
      <td className={`${TD} ${NUMBER}`}>{letter.partition}</td>
      <td className={`${TD} ${NUMBER}`}>{letter.offset}</td>
      <td className={`${TD} text-ink-2`}>{moment(letter.timestamp, language)}</td>
      <td className={`${TD} ${letter.replayed ? 'text-good' : 'text-ink-2'}`}>{t(letter.replayed ? 'dlq.replayed' : 'dlq.waiting')}</td>
    </tr>
  );
}
