/** Every term that the page uses, in a paragraph each; terms elsewhere link here. */

import { useEffect, useRef } from 'react';

import { useT } from '@/lib/i18n';
import { useRoute } from '@/lib/router';
import { TERM_NAMES, TERMS } from '@/lib/terms';
import { Page } from '@/lib/ui/page';

export function GuideView() {
  const t = useT();
  const chosen = useRoute((route) => route.id);
  const place = useRef<HTMLElement>(null);
  useEffect(() => {
    place.current?.scrollIntoView({ block: 'start' });
    place.current?.focus({ preventScroll: true });
  }, [chosen]);
  return (
    <Page title={t('guide.title')} intro={t('guide.intro')}>
      <div tabIndex={0} role="region" aria-label={t('guide.title')} className="h-full overflow-y-auto border-t border-line bg-panel px-4 py-4">
        <div className="max-w-3xl space-y-5">
          {TERM_NAMES.map((name) => (
            <section key={name} ref={name === chosen ? place : undefined} tabIndex={-1} id={name} className={`scroll-mt-2 outline-none ${name === chosen ? 'border-l-2 border-accent pl-3' : ''}`}>
              <h2 className="font-semibold first-letter:uppercase">{t(TERMS[name].title)}</h2>
              <p>{t(TERMS[name].sentence)}</p>
              <p className="mt-1 text-ink-2">{t(TERMS[name].guide)}</p>
            </section>
          ))}
        </div>
      </div>
    </Page>
  );
}
