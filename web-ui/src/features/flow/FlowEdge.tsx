/**
 * The way between two parts. A dot travels for each event that passed, in its type's colour; above
 * about 50 a second a striped flow takes the dots' place, whose colours are the types' shares and
 * whose width and speed are the rate. Without an event nothing moves.
 */

import { BaseEdge, EdgeLabelRenderer, type EdgeProps } from '@xyflow/react';
import { memo, useEffect, useMemo, useRef, useState, type RefObject } from 'react';

import { FlowStripes } from '@/features/flow/FlowStripes';
import type { FlowEdgeType } from '@/features/flow/graph';
import { route, type Route } from '@/features/flow/route';
import { useEdgeFigures } from '@/features/flow/useFlowData';
import { topicColour } from '@/lib/eventTypes';
import type { EdgeId } from '@/lib/flow';
import { count, rate as formatRate } from '@/lib/format';
import { useT } from '@/lib/i18n';
import { pulses } from '@/lib/pulses';
import { useLanguage, useMotion } from '@/lib/settings';

/** How long a dot is on its way, and how long an edge counts as moving after a pulse. */
const TRAVEL_MS = 1000;
const MOVING_MS = 1500;
/** More dots at once than this are a blur; the aggregated flow says it better. */
const DOTS_MAX = 80;

export const FlowEdge = memo(function FlowEdge({ id, data, ...ends }: EdgeProps<FlowEdgeType>) {
  const t = useT();
  const language = useLanguage();
  const mayMove = useMotion();
  const edge = data?.edge ?? null;
  const { total, rate, isAggregated, shares } = useEdgeFigures(edge);
  const dots = useRef<HTMLDivElement>(null);
  const { sourceX, sourceY, targetX, targetY } = ends;
  const bend = data?.bend;
  const { path, waypoints, segments, x, y, isUpright } = useMemo(() => route({ sourceX, sourceY, targetX, targetY }, bend), [sourceX, sourceY, targetX, targetY, bend]);
  const isMoving = usePulses(edge, dots, waypoints, mayMove && !isAggregated);
  return (
    <>
      <BaseEdge
        id={id}
        path={path}
        style={{ stroke: 'var(--edge)', strokeWidth: 1.25, opacity: edge ? 0.7 : 0.5, ...(edge ? {} : { strokeDasharray: '3 5' }) }}
      />
      {edge && (
        <EdgeLabelRenderer>
          {isAggregated && isMoving && <FlowStripes segments={segments} rate={rate} shares={shares} mayMove={mayMove} />}
          <div ref={dots} aria-hidden className="absolute top-0 left-0" />
          <div
            data-testid={`edge-${edge}`}
            data-moving={isMoving}
            data-aggregated={isAggregated}
            title={`${t(`edge.${edge}`)}: ${count(total, language)}`}
            className="nopan absolute text-xs leading-4 text-ink-2"
            style={{ transform: `translate(${String(x)}px, ${String(y)}px)` }}
          >
            {/* Beside the line, not on it: what moves stays in sight. */}
            <span className={`absolute ${isUpright ? '-top-4 left-2.5' : 'bottom-2 -translate-x-1/2'} ${isMoving ? 'font-semibold text-ink' : ''}`}>{count(total, language)}</span>
            {isMoving && rate >= 0.5 && (
              <span className={`absolute whitespace-nowrap text-[11px] text-ink-3 ${isUpright ? 'top-0 left-2.5' : 'top-2 -translate-x-1/2'}`}>{formatRate(rate, language)}/s</span>
            )}
          </div>
        </EdgeLabelRenderer>
      )}
    </>
  );
});

/** Draws the dots, beside React, and says whether something passed a moment ago. */
function usePulses(edge: EdgeId | null, dots: RefObject<HTMLDivElement | null>, waypoints: Route['waypoints'], drawsDots: boolean): boolean {
  const [isMoving, setMoving] = useState(false);
  // Read when a pulse comes; a change of either must not interrupt what is on its way.
  const drawing = useRef({ waypoints, drawsDots });
  useEffect(() => {
    drawing.current = { waypoints, drawsDots };
  }, [waypoints, drawsDots]);
  useEffect(() => {
    if (!edge) return;
    let rest: ReturnType<typeof setTimeout> | undefined;
    let last = 0;
    const settle = () => {
      const left = last + MOVING_MS - Date.now();
      if (left > 0) rest = setTimeout(settle, left);
      else {
        rest = undefined;
        setMoving(false);
      }
    };
    const stop = pulses.on(edge, (topic) => {
      last = Date.now();
      if (rest === undefined) {
        setMoving(true);
        rest = setTimeout(settle, MOVING_MS);
      }
      if (drawing.current.drawsDots && dots.current) drawDot(dots.current, drawing.current.waypoints, topicColour(topic));
    });
    return () => {
      stop();
      clearTimeout(rest);
    };
  }, [edge, dots]);
  return isMoving;
}

/** One dot, moved by `transform` alone: the compositor does that without the page. */
function drawDot(layer: HTMLDivElement, waypoints: Route['waypoints'], colour: string): void {
  // A hidden page would only pile them up; and a test's DOM has no animations.
  if (document.hidden || layer.childElementCount >= DOTS_MAX || typeof layer.animate !== 'function') return;
  const dot = document.createElement('div');
  dot.dataset.dot = '';
  dot.className = 'absolute -top-1 -left-1 size-2.25 rounded-full';
  dot.style.background = colour;
  layer.append(dot);
  const steps = waypoints.map(({ x, y, part }) => ({ transform: `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`, offset: part }));
  const travel = dot.animate(steps, { duration: TRAVEL_MS });
  travel.onfinish = () => {
    dot.remove();
  };
}
