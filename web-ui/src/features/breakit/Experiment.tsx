/** One fault: what it is, what to expect, its buttons, and what was seen since it was made. */

import { CircleCheck, CircleDashed } from 'lucide-react';
import type { ReactNode } from 'react';

import { useWatches, type ExperimentId, type Watch } from '@/features/breakit/watch';
import { count } from '@/lib/format';
import { useT, type Translate } from '@/lib/i18n';
import { useLanguage, type Language } from '@/lib/settings';
import type { Counts } from '@/lib/types';

interface ExperimentProps {
  id: ExperimentId;
  title: string;
  about: string;
  expect: string;
  children: ReactNode;
}

export function Experiment({ id, title, about, expect, children }: ExperimentProps) {
  const t = useT();
  const language = useLanguage();
  const watch = useWatches((state) => state.watches[id]);
  return (
    <section aria-label={title} className="flex flex-col gap-3 border-b border-line py-4" data-testid={`experiment-${id}`}>
      <div>
        <h2 className="font-semibold">{title}</h2>
        <p className="text-[0.8125rem] text-ink-2">{about}</p>
      </div>
      <div className="flex flex-wrap items-end gap-2">{children}</div>
      <p className="text-[0.8125rem]">
        <span className="font-medium">{t('break.expect')}</span> <span className="text-ink-2">{expect}</span>
      </p>
      {watch && (
        <div role="status">
          <p className="mb-1 text-[0.8125rem] font-medium">{t('break.happened')}</p>
          <ul className="space-y-1 text-[0.8125rem]">
            {observations(watch, t, language).map(({ text, isSeen }, index) => (
              <li key={index} data-testid="observation" data-seen={isSeen} className={`flex items-start gap-2 ${isSeen ? '' : 'text-ink-3'}`}>
                {isSeen ? (
                  <CircleCheck aria-label={t('break.seen')} className="mt-0.5 size-3.5 shrink-0 text-good" />
                ) : (
                  <CircleDashed aria-label={t('break.awaited')} className="mt-0.5 size-3.5 shrink-0" />
                )}
                {text}
              </li>
            ))}
          </ul>
        </div>
      )}
    </section>
  );
}

interface Observation {
  text: string;
  isSeen: boolean;
}

export function observations(watch: Watch, t: Translate, language: Language): Observation[] {
  const seconds = (ms: number | null) => (ms === null ? '…' : ((ms - watch.startedMs) / 1000).toFixed(1));
  const grown = (field: keyof Counts) => Number(watch.now?.[field] ?? 0) - Number(watch.before?.[field] ?? 0);
  const balanced = { text: t('seen.balanced'), isSeen: watch.now?.balanced === true };
  const lag = {
    text: t('seen.lag', { count: count(watch.highestLag, language) }),
    isSeen: watch.highestLag > 0,
  };
  const caughtUp = { text: t('seen.caughtUp', { seconds: seconds(watch.caughtUpAtMs) }), isSeen: watch.caughtUpAtMs !== null };
  switch (watch.experiment) {
    case 'kill':
      return [
        { text: t('seen.bad', { part: watch.part ?? '', seconds: seconds(watch.badAtMs) }), isSeen: watch.badAtMs !== null },
        { text: t('seen.back', { part: watch.part ?? '', seconds: seconds(watch.backAtMs) }), isSeen: watch.backAtMs !== null },
        ...(watch.part === 'simulator' ? [] : [lag, caughtUp]),
        balanced,
      ];
    case 'pause':
      return [lag, caughtUp, balanced];
    case 'poison': {
      const found = grown('dead_lettered');
      const wanted = Math.max(1, watch.published);
      return [
        { text: t('seen.deadLetters', { found, wanted }), isSeen: found >= wanted },
        { text: t('seen.goesOn'), isSeen: watch.caughtUpAtMs !== null },
        balanced,
      ];
    }
    case 'duplicate': {
      const found = grown('duplicates');
      const wanted = Math.max(1, watch.published);
      return [{ text: t('seen.duplicates', { found, wanted }), isSeen: found >= wanted }, balanced];
    }
  }
}
