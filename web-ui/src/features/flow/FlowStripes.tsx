/**
 * An aggregated flow: stripes in the types' colours, each as long as its share, moving by the rate.
 * Only `transform` is animated, which the compositor does without the page.
 */

import type { CSSProperties } from 'react';

import type { Segment } from '@/features/flow/route';
import { topicColour } from '@/lib/eventTypes';
import { flowLook } from '@/lib/flow';

const PERIOD_PX = 28;
/** How much of a period is stripes; the rest is the line between them. */
const FILLED = 0.8;

interface FlowStripesProps {
  segments: Segment[];
  rate: number;
  shares: [topic: string, share: number][];
  mayMove: boolean;
}

export function FlowStripes({ segments, rate, shares, mayMove }: FlowStripesProps) {
  const { widthPx, periodS } = flowLook(rate);
  const background = stripes(shares);
  return (
    <div aria-hidden data-testid="stripes">
      {segments.map((segment) => {
        const inner: CSSProperties = {
          width: segment.lengthPx + 2 * PERIOD_PX,
          marginLeft: -PERIOD_PX - (segment.beforePx % PERIOD_PX),
          backgroundImage: background,
          backgroundSize: `${String(PERIOD_PX)}px 100%`,
          // Rounded, so that a rate that breathes does not start the movement anew.
          animation: mayMove ? `flow-shift ${periodS.toFixed(1)}s linear infinite` : undefined,
        };
        return (
          <div
            key={segment.beforePx}
            className="absolute origin-left overflow-hidden"
            style={{
              width: segment.lengthPx,
              height: widthPx,
              transform: `translate(${String(segment.x)}px, ${String(segment.y - widthPx / 2)}px) rotate(${String(segment.angleDeg)}deg)`,
            }}
          >
            <div className="h-full will-change-transform" style={inner} />
          </div>
        );
      })}
    </div>
  );
}

/** One period as a gradient with hard stops. */
export function stripes(shares: [string, number][]): string {
  const whole = shares.reduce((sum, [, share]) => sum + share, 0) || 1;
  let from = 0;
  const stops = shares.map(([topic, share]) => {
    const start = from;
    from += (share / whole) * PERIOD_PX * FILLED;
    return `${topicColour(topic)} ${start.toFixed(1)}px ${from.toFixed(1)}px`;
  });
  return `linear-gradient(to right, ${stops.join(', ')}, transparent ${from.toFixed(1)}px)`;
}
