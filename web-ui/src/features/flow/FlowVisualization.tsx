/** The graph of the lab: where events come from, where they go, and what is on its way now. */

import '@xyflow/react/dist/base.css';

import { ReactFlow, ReactFlowProvider, useReactFlow } from '@xyflow/react';
import { useEffect, useMemo, useRef, useState } from 'react';

import { FlowEdge } from '@/features/flow/FlowEdge';
import { FlowNode } from '@/features/flow/FlowNode';
import { layout, NODES, type NodeId } from '@/features/flow/graph';
import { NodeDetail } from '@/features/flow/NodeDetail';
import { useFlowData } from '@/features/flow/useFlowData';
import { EVENT_TYPES, EVENTS, DLQ_TOPIC } from '@/lib/eventTypes';
import { useT } from '@/lib/i18n';
import { pathOf, replace, useRoute } from '@/lib/router';
import { EventTag } from '@/lib/ui/EventTag';

// Module constants: React Flow builds everything anew when these change.
const NODE_TYPES = { service: FlowNode };
const EDGE_TYPES = { flow: FlowEdge };
const FIT = { padding: { top: '16px', x: '20px', bottom: '48px' }, maxZoom: 3, minZoom: 0.5 } as const;
/** Upright, the arch stands to the left of the nodes, and the legend needs more lines. */
const FIT_NARROW = { ...FIT, padding: { top: '16px', left: '64px', right: '16px', bottom: '88px' } } as const;
/** Below this width the graph stands upright. */
const NARROW_PX = 700;

export function FlowVisualization() {
  return (
    <ReactFlowProvider>
      <Graph />
    </ReactFlowProvider>
  );
}

function Graph() {
  const t = useT();
  useFlowData();
  const frame = useRef<HTMLDivElement>(null);
  const isNarrow = useFit(frame);
  const { nodes, edges } = useMemo(() => layout(isNarrow), [isNarrow]);
  const open = useRoute((route) => route.search.get('node'));
  return (
    <>
      <div
        ref={frame}
        role="group"
        aria-label={t('flow.label')}
        data-tour="flow"
        data-testid="flow"
        className={isNarrow ? 'relative h-[40rem]' : 'relative h-full min-h-72'}
      >
        <ReactFlow
          nodes={nodes}
          edges={edges}
          nodeTypes={NODE_TYPES}
          edgeTypes={EDGE_TYPES}
          fitView
          fitViewOptions={isNarrow ? FIT_NARROW : FIT}
          minZoom={0.3}
          maxZoom={3}
          nodesDraggable={false}
          nodesConnectable={false}
          nodesFocusable={false}
          edgesFocusable={false}
          elementsSelectable={false}
          // The page scrolls, not the graph: everything is in sight already.
          panOnDrag={false}
          zoomOnScroll={false}
          zoomOnPinch={false}
          zoomOnDoubleClick={false}
          preventScrolling={false}
          proOptions={{ hideAttribution: true }}
        />
        <Legend isNarrow={isNarrow} />
      </div>
      {/* Outside the frame: it stands over the figures too, as high as the page. */}
      {open && open in NODES && (
        <NodeDetail
          id={open as NodeId}
          onClose={() => {
            replace(pathOf('flow'));
          }}
        />
      )}
    </>
  );
}

/** Keeps the whole graph in sight at every size. */
function useFit(frame: React.RefObject<HTMLDivElement | null>): boolean {
  const { fitView } = useReactFlow();
  const [isNarrow, setNarrow] = useState(() => typeof window !== 'undefined' && window.innerWidth < NARROW_PX);
  useEffect(() => {
    if (!frame.current || typeof ResizeObserver === 'undefined') return;
    const observer = new ResizeObserver(([entry]) => {
      const isNarrowNow = (entry?.contentRect.width ?? NARROW_PX) < NARROW_PX;
      setNarrow(isNarrowNow);
      requestAnimationFrame(() => void fitView(isNarrowNow ? FIT_NARROW : FIT));
    });
    observer.observe(frame.current);
    return () => {
      observer.disconnect();
    };
  }, [frame, fitView]);
  useEffect(() => {
    const handle = requestAnimationFrame(() => void fitView(isNarrow ? FIT_NARROW : FIT));
    return () => {
      cancelAnimationFrame(handle);
    };
  }, [isNarrow, fitView]);
  return isNarrow;
}

function Legend({ isNarrow }: { isNarrow: boolean }) {
  const t = useT();
  return (
    <ul
      aria-label={t('flow.legend')}
      className={`pointer-events-none absolute inset-x-4 bottom-2 flex flex-wrap gap-x-4 gap-y-0.5 text-xs text-ink-2 ${isNarrow ? '' : 'justify-center'}`}
    >
      {[...EVENT_TYPES.map((type) => EVENTS[type].topic), DLQ_TOPIC].map((topic) => (
        <li key={topic}>
          <EventTag topic={topic} />
        </li>
      ))}
    </ul>
  );
}
