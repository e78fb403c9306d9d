/** Events, rate, uptime: the lab's pulse in one line, whichever view is shown. */

import { clock, count, rate } from '@/lib/format';
import { useT } from '@/lib/i18n';
import { useHealth } from '@/lib/queries';
import { useLanguage } from '@/lib/settings';
import { useSimulationStore } from '@/lib/store/simulationStore';
import { useNow } from '@/lib/ui/useNow';

export function Footer() {
  const t = useT();
  const language = useLanguage();
  const topics = useSimulationStore((state) => state.topics);
  const health = useHealth();
  const now = useNow();
  const all = Object.values(topics);
  // Between two answers the clock goes on by itself, and stands still when the gateway is away.
  const uptime = health.data && !health.isError ? health.data.uptime_seconds + Math.max(0, now - health.dataUpdatedAt) / 1000 : null;
  return (
    <footer className="flex items-center gap-x-6 overflow-x-auto border-t border-line bg-panel px-4 py-1.5 text-xs whitespace-nowrap text-ink-2">
      <Figure name={t('footer.events')} value={count(all.reduce((sum, topic) => sum + topic.count, 0), language)} testId="footer-events" />
      <Figure name={t('footer.rate')} value={`${rate(all.reduce((sum, topic) => sum + topic.rate, 0), language)} /s`} testId="footer-rate" />
      <Figure name={t('footer.uptime')} value={uptime === null ? '–' : clock(uptime)} testId="footer-uptime" />
    </footer>
  );
}

function Figure({ name, value, testId }: { name: string; value: string; testId: string }) {
  return (
    <span>
      <span className="text-ink-3">{name}</span>{' '}
      <span className="inline-block min-w-14 font-medium text-ink" data-testid={testId}>
        {value}
      </span>
    </span>
  );
}
