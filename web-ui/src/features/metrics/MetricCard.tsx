/** One figure: what it is, how much, where it is heading, and its last seconds. */

import { ArrowDown, ArrowRight, ArrowUp } from 'lucide-react';
import type { ReactNode } from 'react';

import { useT } from '@/lib/i18n';
import { Sparkline } from '@/lib/ui/Sparkline';

export type Trend = 'up' | 'down' | 'flat';

interface MetricCardProps {
  title: ReactNode;
  value: string;
  unit?: string;
  trend?: Trend | undefined;
  history?: (number | null)[];
  slots?: number;
  testId?: string;
}

const ICONS = { up: ArrowUp, down: ArrowDown, flat: ArrowRight };

export function MetricCard({ title, value, unit, trend, history, slots = 30, testId }: MetricCardProps) {
  const t = useT();
  const Icon = trend && ICONS[trend];
  return (
    <div className="flex min-w-0 flex-col" data-testid={testId}>
      <span className="truncate text-xs text-ink-3">{title}</span>
      <span className="flex items-baseline gap-1">
        <span className="text-base leading-6 font-semibold">{value}</span>
        {unit && <span className="text-xs text-ink-3">{unit}</span>}
        {Icon && (
          <span className="ml-auto self-center text-ink-3" data-trend={trend}>
            <Icon aria-hidden className="size-3.5" />
            <span className="sr-only">{t(`trend.${trend}`)}</span>
          </span>
        )}
      </span>
      {history && <Sparkline values={history} slots={slots} label={t('metrics.last', { seconds: slots })} className="mt-1 h-6" />}
    </div>
  );
}
