/** What the broker holds: topics, partitions, offsets, and which worker reads which partition. */

import { useState } from 'react';

import { count } from '@/lib/format';
import { useT } from '@/lib/i18n';
import { useKafka } from '@/lib/queries';
import { useLanguage } from '@/lib/settings';
import type { KafkaCluster, KafkaPartition } from '@/lib/types';
import { SelectField } from '@/lib/ui/controls';
import { EventTag } from '@/lib/ui/EventTag';
import { NUMBER, Page, TableFrame, TD, TH } from '@/lib/ui/page';
import { Empty, Failed, Loading } from '@/lib/ui/states';
import { Term } from '@/lib/ui/Term';

/** The group that the lab is about; others may read beside it. */
const MAIN_GROUP = 'bancaire';

export function KafkaView() {
  const t = useT();
  const kafka = useKafka();
  const [chosen, setChosen] = useState<string | null>(null);
  const groups = kafka.data?.groups.map(({ name }) => name) ?? [];
  const group = chosen ?? groups.find((name) => name === MAIN_GROUP) ?? groups.find((name) => name.includes(MAIN_GROUP)) ?? groups[0] ?? MAIN_GROUP;
  return (
    <Page
      title={t('kafka.title')}
      intro={t('kafka.intro')}
      actions={
        <div className="w-48">
          <SelectField
            label={<Term name="group" />}
            value={group}
            onChange={(event) => {
              setChosen(event.target.value);
            }}
          >
            {(groups.includes(group) ? groups : [group, ...groups]).map((name) => (
              <option key={name}>{name}</option>
            ))}
          </SelectField>
        </div>
      }
    >
      {kafka.isPending ? (
        <Loading lines={8} />
      ) : kafka.data ? (
        <Cluster cluster={kafka.data} group={group} />
      ) : (
        <Failed error={kafka.error} retry={() => void kafka.refetch()} />
      )}
    </Page>
  );
}

function Cluster({ cluster, group }: { cluster: KafkaCluster; group: string }) {
  const t = useT();
  const language = useLanguage();
  const state = cluster.groups.find(({ name }) => name === group);
  const workers = letters(cluster, group);
  return (
    <div className="flex h-full flex-col">
      <dl className="flex flex-wrap gap-x-8 gap-y-1 px-4 pb-2 text-[0.8125rem]">
        <Fact name={t('kafka.brokers')}>{cluster.brokers.map(({ id, host, port }) => `${String(id)} (${host}:${String(port)})`).join(', ') || '–'}</Fact>
        <Fact name={t('kafka.cluster')}>{cluster.cluster_id ?? '–'}</Fact>
        <Fact name={t('kafka.groupState')}>{state?.state ?? t('kafka.noGroup')}</Fact>
        <Fact name={t('kafka.workers')}>
          {state && state.members.length > 0 ? (
            <span className="inline-flex flex-wrap gap-x-4">
              {state.members.map((member) => (
                <span key={member.id} title={member.id}>
                  <Letter letter={workers.get(member.id)} /> {member.client_id} · {t('kafka.reads', { count: member.partitions.length })}
                </span>
              ))}
            </span>
          ) : (
            t('kafka.noWorkers')
          )}
        </Fact>
      </dl>
      <div className="min-h-0 flex-1">
        <TableFrame label={t('kafka.title')}>
          {cluster.topics.length === 0 ? (
            <Empty title={t('kafka.empty')}>{t('kafka.empty.hint')}</Empty>
          ) : (
            <table className="w-full border-separate border-spacing-0 text-[0.8125rem]">
              <thead>
                <tr>
                  <th className={TH}>
                    <Term name="topic" />
                  </th>
                  <th className={`${TH} ${NUMBER}`}>
                    <Term name="partition" />
                  </th>
                  <th className={`${TH} ${NUMBER}`}>{t('kafka.first')}</th>
                  <th className={`${TH} ${NUMBER}`}>
                    <Term name="offset">{t('kafka.committed')}</Term>
                  </th>
                  <th className={`${TH} ${NUMBER}`}>{t('kafka.end')}</th>
                  <th className={`${TH} ${NUMBER}`}>
                    <Term name="lag" />
                  </th>
                  <th className={TH}>{t('kafka.readBy')}</th>
                </tr>
              </thead>
              <tbody>
                {cluster.topics.flatMap(({ name, partitions }) =>
                  partitions.map((partition, index) => (
                    <tr key={`${name}-${String(partition.id)}`} data-testid="partition-row">
                      <td className={`${TD} ${index === partitions.length - 1 ? '' : 'border-transparent'}`}>
                        {index === 0 && (
                          <span className="flex flex-col">
                            <EventTag topic={name} className="font-medium" />
                            <span className="sr-only">{name}</span>
                          </span>
                        )}
                        {index === 1 && <code className="font-mono text-2xs text-ink-3">{name}</code>}
                      </td>
                      <Cells partition={partition} group={group} workers={workers} language={language} isLast={index === partitions.length - 1} />
                    </tr>
                  )),
                )}
              </tbody>
            </table>
          )}
        </TableFrame>
      </div>
    </div>
  );
}

function Cells({
  partition,
  group,
  workers,
  language,
  isLast,
}: {
  partition: KafkaPartition;
  group: string;
  workers: Map<string, string>;
  language: 'en' | 'fr';
  isLast: boolean;
}) {
  const lag = partition.lag[group];
  const owner = partition.owner[group];
  const cell = `${TD} ${NUMBER} ${isLast ? '' : 'border-transparent'}`;
  return (
    <>
      <td className={cell}>{partition.id}</td>
      <td className={`${cell} text-ink-2`}>{count(partition.low, language)}</td>
      <td className={cell}>{count(partition.committed[group], language)}</td>
      <td className={cell}>{count(partition.high, language)}</td>
      <td className={`${cell} ${lag ? 'font-semibold text-warn' : ''}`}>{count(lag, language)}</td>
      <td className={`${TD} ${isLast ? '' : 'border-transparent'} text-left`} title={owner ?? undefined}>
        {owner ? <Letter letter={workers.get(owner) ?? '?'} /> : '–'}
      </td>
    </>
  );
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div className="flex gap-2">
      <dt className="text-ink-3">{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Letter({ letter }: { letter: string | undefined }) {
  return <span className="inline-flex size-5 items-center justify-center rounded bg-accent-soft text-xs font-semibold text-ink">{letter ?? '?'}</span>;
}

/** A letter for each worker, so that one sees at a glance which partition moved. */
function letters(cluster: KafkaCluster, group: string): Map<string, string> {
  const members = cluster.groups.find(({ name }) => name === group)?.members.map(({ id }) => id) ?? [];
  return new Map([...members].sort().map((id, index) => [id, String.fromCharCode(65 + (index % 26))]));
}
