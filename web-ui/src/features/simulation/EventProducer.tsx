/** Publishes events by hand; the answer comes after the broker's acknowledgement. */

import { Send } from 'lucide-react';
import { useState } from 'react';

import { simulationApi } from '@/lib/api';
import { PRODUCIBLE } from '@/lib/eventTypes';
import { count as formatCount } from '@/lib/format';
import { useT } from '@/lib/i18n';
import { refreshAll } from '@/lib/queries';
import { useLanguage } from '@/lib/settings';
import { showToast } from '@/lib/toasts';
import { Button, SelectField, TextField } from '@/lib/ui/controls';
import { describe } from '@/lib/ui/states';

/** More by hand is what a simulation is for. */
const MAX_COUNT = 10_000;

export function EventProducer() {
  const t = useT();
  const language = useLanguage();
  const [type, setType] = useState<string>('CompteOuvert');
  const [countText, setCountText] = useState('1');
  const [isBusy, setBusy] = useState(false);
  const count = Number(countText);
  const error = Number.isInteger(count) && count >= 1 && count <= MAX_COUNT ? undefined : t('produce.count.bad', { max: formatCount(MAX_COUNT, language) });

  const produce = async () => {
    setBusy(true);
    try {
      const { events_produced: produced } = await simulationApi.produceEvent(type, count);
      showToast({ tone: 'good', title: t('produce.done', { count: formatCount(produced, language), type }) });
      refreshAll();
    } catch (failure) {
      showToast({ tone: 'bad', ...describe(failure) });
    } finally {
      setBusy(false);
    }
  };
  return (
    <section aria-label={t('produce.title')} data-tour="producer">
      <h2 className="mb-2 text-xs font-semibold tracking-wide text-ink-2 uppercase">{t('produce.title')}</h2>
      <form
        className="space-y-3"
        onSubmit={(event) => {
          event.preventDefault();
          if (!error && !isBusy) void produce();
        }}
      >
        <div className="grid grid-cols-[1fr_5rem] gap-2">
          <SelectField
            label={t('produce.type')}
            value={type}
            onChange={(event) => {
              setType(event.target.value);
            }}
          >
            {PRODUCIBLE.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </SelectField>
          <TextField
            label={t('produce.count')}
            type="number"
            min={1}
            max={MAX_COUNT}
            value={countText}
            aria-invalid={error ? true : undefined}
            onChange={(event) => {
              setCountText(event.target.value);
            }}
          />
        </div>
        {error && <p className="text-xs text-bad">{error}</p>}
        <Button type="submit" className="w-full" disabled={isBusy || Boolean(error)} data-testid="produce">
          <Send aria-hidden className="size-3.5" />
          {t('produce.send')}
        </Button>
      </form>
    </section>
  );
}
