/** The first screen: the graph, with most of the space, and the lab in figures beneath it. */

import { FlowVisualization } from '@/features/flow/FlowVisualization';
import { MetricsDashboard } from '@/features/metrics/MetricsDashboard';
import { useT } from '@/lib/i18n';

export function FlowView() {
  const t = useT();
  return (
    <div className="flex min-h-full flex-col md:h-full">
      <h1 className="sr-only">{t('nav.flow')}</h1>
      <div className="min-h-0 flex-1">
        <FlowVisualization />
      </div>
      <MetricsDashboard />
    </div>
  );
}
