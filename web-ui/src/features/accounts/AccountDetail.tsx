/** One account: its balance, and every verdict that led to it. An event that was followed here is
 * marked, or it is said why it is not here yet. */

import { useQuery } from '@tanstack/react-query';
import { ArrowLeft } from 'lucide-react';
import { useEffect, useRef } from 'react';

import { ApiError, bancaireApi } from '@/lib/api';
import { EVENTS, type EventType } from '@/lib/eventTypes';
import { amount, count, moment } from '@/lib/format';
import { hasKey, useT } from '@/lib/i18n';
import { pathOf } from '@/lib/router';
import { useLanguage } from '@/lib/settings';
import type { Compte, Transaction } from '@/lib/types';
import { Link } from '@/lib/ui/Link';
import { NUMBER, Page, TableFrame, TD, TH } from '@/lib/ui/page';
import { Empty, Failed, Loading } from '@/lib/ui/states';

const TRANSACTIONS_MAX = 200;
const REFRESH_MS = 1000;

/** The event type behind each kind of transaction, whose topic holds its record. */
const TYPES: Record<string, EventType> = {
  OUVERTURE: 'CompteOuvert',
  CLOTURE: 'CompteFerme',
  DEPOT: 'DepotEffectue',
  RETRAIT: 'RetraitEffectue',
  VIREMENT_SORTANT: 'VirementEmis',
  VIREMENT_ENTRANT: 'VirementRecu',
  PAIEMENT_PRIME: 'PaiementPrimeEffectue',
};
const CREDITS = ['OUVERTURE', 'DEPOT', 'VIREMENT_ENTRANT'];

export function AccountDetail({ id, eventId }: { id: string; eventId: string | null }) {
  const t = useT();
  const language = useLanguage();
  const compte = useQuery({ queryKey: ['compte', id], queryFn: () => bancaireApi.getCompte(id), refetchInterval: REFRESH_MS });
  const transactions = useQuery({
    queryKey: ['transactions', id],
    queryFn: () => bancaireApi.getTransactions(id, TRANSACTIONS_MAX),
    refetchInterval: REFRESH_MS,
  });
  const rows = transactions.data?.transactions;
  const isMissing = eventId !== null && rows !== undefined && !rows.some((row) => row.id === eventId);
  const isUnknown = compte.error instanceof ApiError && compte.error.status === 404;
  return (
    <Page
      title={t('account.title')}
      intro={<code className="font-mono text-xs">{id}</code>}
      actions={
        <Link to={pathOf('accounts')} className="inline-flex h-8 items-center gap-1.5 text-[0.8125rem] text-accent hover:underline">
          <ArrowLeft aria-hidden className="size-3.5" />
          {t('account.back')}
        </Link>
      }
    >
      <div className="flex h-full flex-col">
        {compte.data && <Summary compte={compte.data} />}
        {(isMissing || (isUnknown && eventId)) && (
          <p role="status" className="mx-4 mb-2 rounded-md border border-warn/50 p-2 text-[0.8125rem] text-warn">
            {t(isUnknown ? 'account.eventBeforeAccount' : 'account.eventMissing')}
          </p>
        )}
        {compte.isPending ? (
          <Loading />
        ) : compte.data ? (
          <div className="min-h-0 flex-1">
            <TableFrame label={t('accounts.transactions')}>
              {rows?.length === 0 && <Empty title={t('account.noTransactions')} />}
              {rows && rows.length > 0 && (
                <table className="w-full border-separate border-spacing-0 text-[0.8125rem]">
                  <thead>
                    <tr>
                      <th className={`${TH} ${NUMBER}`}>{t('account.rank')}</th>
                      <th className={TH}>{t('account.kind')}</th>
                      <th className={`${TH} ${NUMBER}`}>{t('account.amount')}</th>
                      <th className={`${TH} ${NUMBER}`}>{t('account.after')}</th>
                      <th className={TH}>{t('account.reference')}</th>
                      <th className={TH}>{t('account.when')}</th>
                      <th className={TH}>{t('account.record')}</th>
                    </tr>
                  </thead>
                  <tbody>
                    {rows.map((row) => (
                      <Row key={row.id} row={row} devise={compte.data.devise} isFollowed={row.id === eventId} />
                    ))}
                  </tbody>
                </table>
              )}
              {rows && rows.length >= TRANSACTIONS_MAX && <p className="p-3 text-xs text-ink-3">{t('account.limit', { count: count(TRANSACTIONS_MAX, language) })}</p>}
            </TableFrame>
          </div>
        ) : (
          !(isUnknown && eventId) && <Failed error={compte.error} retry={() => void compte.refetch()} />
        )}
      </div>
    </Page>
  );
}

function Summary({ compte }: { compte: Compte }) {
  const t = useT();
  const language = useLanguage();
  const words: [string, string][] = [
    [t('accounts.type'), hasKey(`compte.${compte.type_compte}`) ? t(`compte.${compte.type_compte}` as 'compte.COURANT') : compte.type_compte],
    [t('accounts.state'), hasKey(`statut.${compte.statut}`) ? t(`statut.${compte.statut}` as 'statut.ACTIF') : compte.statut],
    [t('accounts.transactions'), count(compte.rang, language)],
    [t('account.client'), compte.client_id],
  ];
  return (
    <div className="flex flex-wrap items-end gap-x-8 gap-y-2 px-4 pb-3">
      <p>
        <span className="block text-xs text-ink-3">{t('accounts.balance')}</span>
        <span className="text-2xl font-semibold" data-testid="balance">
          {amount(compte.solde, compte.devise, language)}
        </span>
      </p>
      {words.map(([name, value]) => (
        <p key={name}>
          <span className="block text-xs text-ink-3">{name}</span>
          {value}
        </p>
      ))}
    </div>
  );
}

function Row({ row, devise, isFollowed }: { row: Transaction; devise: string; isFollowed: boolean }) {
  const t = useT();
  const language = useLanguage();
  const line = useRef<HTMLTableRowElement>(null);
  useEffect(() => {
    if (isFollowed) line.current?.scrollIntoView({ block: 'center' });
  }, [isFollowed]);
  const kind = `tx.${row.type}`;
  const type = TYPES[row.type];
  const isRefused = Boolean(row.motif_rejet);
  const sign = row.type === 'CLOTURE' ? '' : CREDITS.includes(row.type) ? '+' : '−';
  return (
    <tr ref={line} data-testid="transaction-row" data-followed={isFollowed} className={isFollowed ? 'bg-accent-soft' : 'hover:bg-sunk'}>
      <td className={`${TD} ${NUMBER} text-ink-3`}>{row.rang ?? '–'}</td>
      <td className={TD}>
        {hasKey(kind) ? t(kind) : row.type}
        {isFollowed && <span className="ml-2 rounded bg-accent px-1.5 py-0.5 text-2xs font-medium text-accent-ink">{t('account.followed')}</span>}
        {isRefused && (
          <span className="block text-xs text-bad">
            {t('account.refused')}: {row.motif_rejet}
          </span>
        )}
      </td>
      <td className={`${TD} ${NUMBER} ${isRefused ? 'text-ink-3 line-through' : 'font-medium'}`}>
        {sign}
        {amount(row.montant, devise, language)}
      </td>
      <td className={`${TD} ${NUMBER}`}>{amount(row.solde_apres, devise, language)}</td>
      <td className={`${TD} text-ink-2`}>{row.reference ?? '–'}</td>
      <td className={`${TD} text-ink-2`}>{moment(row.evenement_le, language)}</td>
      <td className={TD}>
        {type ? (
          <Link
            to={pathOf('events', null, { record: `${EVENTS[type].topic}-${String(row.partition)}-${String(row.offset)}` })}
            className="font-mono text-xs text-accent hover:underline"
          >
            {row.partition}:{row.offset}
          </Link>
        ) : (
          '–'
        )}
      </td>
    </tr>
  );
}
