/** One part of the lab on the graph: icon, state, counter, and its last 60 seconds. */

import { Handle, type NodeProps } from '@xyflow/react';
import { memo } from 'react';

import { NARROW_WIDTH, NODE_HEIGHT, NODE_WIDTH, NODES, SIDES, type FlowNodeType } from '@/features/flow/graph';
import { useNodeFigures } from '@/features/flow/useFlowData';
import { count } from '@/lib/format';
import { useT } from '@/lib/i18n';
import { pathOf, replace, useRoute } from '@/lib/router';
import { useLanguage } from '@/lib/settings';
import { HISTORY_S } from '@/lib/store/simulationStore';
import { Sparkline } from '@/lib/ui/Sparkline';
import { StatusDot } from '@/lib/ui/StatusDot';

export const FlowNode = memo(function FlowNode({ data }: NodeProps<FlowNodeType>) {
  const t = useT();
  const language = useLanguage();
  const info = NODES[data.id];
  const { level, reason, counter, history } = useNodeFigures(data.id);
  const isOpen = useRoute((route) => route.view === 'flow' && route.search.get('node') === data.id);
  const Icon = info.icon;
  const isComing = info.service === null;
  const state = isComing ? t('node.coming') : t(`level.${level}`);
  return (
    <>
      {SIDES.map(({ id, position }) => (
        <span key={id}>
          <Handle id={`${id}-in`} type="target" position={position} isConnectable={false} className="invisible" />
          <Handle id={`${id}-out`} type="source" position={position} isConnectable={false} className="invisible" />
        </span>
      ))}
      <button
        type="button"
        data-testid={`node-${data.id}`}
        data-level={isComing ? 'coming' : level}
        aria-label={`${t(info.title)}: ${state}${counter === null ? '' : `, ${count(counter, language)}`}`}
        title={reason ?? undefined}
        onClick={() => {
          replace(pathOf('flow', null, { node: data.id }));
        }}
        style={{ width: data.isNarrow ? NARROW_WIDTH : NODE_WIDTH, height: NODE_HEIGHT }}
        className={`nopan pointer-events-auto flex flex-col rounded-lg border bg-panel px-3 py-2.5 text-left hover:border-accent ${isOpen ? 'border-accent ring-1 ring-accent' : level === 'bad' ? 'border-bad' : 'border-edge/50'} ${isComing ? 'border-dashed opacity-80' : ''}`}
      >
        <span className="flex items-center gap-2">
          <Icon aria-hidden className="size-4 shrink-0 text-ink-2" />
          <span className="min-w-0 flex-1 truncate font-semibold">{t(info.title)}</span>
          {!isComing && <StatusDot level={level} />}
        </span>
        {isComing ? (
          <span className="mt-1 text-xs text-ink-3">{t('node.client360.short')}</span>
        ) : (
          <>
            <span className="mt-1 flex flex-wrap items-baseline gap-x-1.5">
              <span data-testid={`counter-${data.id}`} className="text-[18px] leading-6 font-semibold">
                {count(counter, language)}
              </span>
              <span className="truncate text-xs text-ink-3">{level === 'good' ? info.counter && t(info.counter) : state}</span>
            </span>
            <Sparkline values={history} slots={HISTORY_S} label={t('node.history')} className="mt-auto h-7" />
          </>
        )}
      </button>
    </>
  );
});
