/** The bank's accounts as bancaire keeps them: the list, and one account with its transactions. */

import { useInfiniteQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { AccountDetail } from '@/features/accounts/AccountDetail';
import { bancaireApi } from '@/lib/api';
import { amount, moment, shortId } from '@/lib/format';
import { hasKey, useT } from '@/lib/i18n';
import { navigate, pathOf, useRoute } from '@/lib/router';
import { useLanguage } from '@/lib/settings';
import type { Compte } from '@/lib/types';
import { Button, TextField } from '@/lib/ui/controls';
import { Link } from '@/lib/ui/Link';
import { NUMBER, Page, TableFrame, TD, TH } from '@/lib/ui/page';
import { Empty, Failed, Loading } from '@/lib/ui/states';

const PAGE_SIZE = 50;

export function AccountsView() {
  const t = useT();
  const id = useRoute((route) => route.id);
  const eventId = useRoute((route) => route.search.get('event'));
  if (id) return <AccountDetail key={id} id={id} eventId={eventId} />;
  return (
    <Page title={t('accounts.title')} intro={t('accounts.intro')} actions={<Find />}>
      <List />
    </Page>
  );
}

/** Goes to an account by its id; what does not exist says so there. */
function Find() {
  const t = useT();
  const [text, setText] = useState('');
  const isId = /^[0-9a-f-]{36}$/i.test(text.trim());
  return (
    <form
      className="flex items-end gap-2"
      onSubmit={(event) => {
        event.preventDefault();
        if (isId) navigate(pathOf('accounts', text.trim()));
      }}
    >
      <div className="w-64">
        <TextField
          label={t('accounts.find')}
          value={text}
          placeholder="0198c5a0-…"
          onChange={(event) => {
            setText(event.target.value);
          }}
        />
      </div>
      <Button type="submit" disabled={!isId}>
        {t('accounts.open')}
      </Button>
    </form>
  );
}

function List() {
  const t = useT();
  const pages = useInfiniteQuery({
    queryKey: ['comptes'],
    queryFn: ({ pageParam }) => bancaireApi.getComptes(PAGE_SIZE, pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: ({ state }) => ((state.data?.pages.length ?? 0) > 1 ? false : 2000),
  });
  if (pages.isPending) return <Loading lines={8} />;
  if (!pages.data) return <Failed error={pages.error} retry={() => void pages.refetch()} />;
  const comptes = pages.data.pages.flatMap((page) => page.comptes);
  return (
    <TableFrame label={t('accounts.title')}>
      {comptes.length === 0 ? (
        <Empty title={t('accounts.empty')}>{t('accounts.empty.hint')}</Empty>
      ) : (
        <table className="w-full border-separate border-spacing-0 text-[0.8125rem]">
          <thead>
            <tr>
              <th className={TH}>{t('accounts.account')}</th>
              <th className={TH}>{t('accounts.type')}</th>
              <th className={TH}>{t('accounts.state')}</th>
              <th className={`${TH} ${NUMBER}`}>{t('accounts.balance')}</th>
              <th className={`${TH} ${NUMBER}`}>{t('accounts.transactions')}</th>
              <th className={TH}>{t('accounts.changed')}</th>
            </tr>
          </thead>
          <tbody>
            {comptes.map((compte) => (
              <Row key={compte.id} compte={compte} />
            ))}
          </tbody>
        </table>
      )}
      {pages.hasNextPage && (
        <div className="p-3 text-center">
          <Button disabled={pages.isFetchingNextPage} onClick={() => void pages.fetchNextPage()}>
            {t('accounts.more')}
          </Button>
        </div>
      )}
    </TableFrame>
  );
}

function Row({ compte }: { compte: Compte }) {
  const t = useT();
  const language = useLanguage();
  const type = `compte.${compte.type_compte}`;
  const statut = `statut.${compte.statut}`;
  return (
    <tr className="hover:bg-sunk" data-testid="account-row">
      <td className={TD}>
        <Link to={pathOf('accounts', compte.id)} className="font-mono text-xs text-accent hover:underline" title={compte.id}>
          {/* On a phone the balance is worth more than the middle of an id. */}
          <span className="max-sm:hidden">{compte.id}</span>
          <span className="sm:hidden">{shortId(compte.id)}</span>
        </Link>
      </td>
      <td className={TD}>{hasKey(type) ? t(type) : compte.type_compte}</td>
      <td className={`${TD} ${compte.statut === 'ACTIF' ? 'text-ink-2' : 'text-warn'}`}>{hasKey(statut) ? t(statut) : compte.statut}</td>
      <td className={`${TD} ${NUMBER} font-medium`}>{amount(compte.solde, compte.devise, language)}</td>
      <td className={`${TD} ${NUMBER} text-ink-2`}>{compte.rang}</td>
      <td className={`${TD} text-ink-2`}>{moment(compte.updated_at, language)}</td>
    </tr>
  );
}
