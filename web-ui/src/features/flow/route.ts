/** An edge's way as straight pieces: flows along straight pieces can be moved by the compositor
 * alone, so that a busy graph costs the page nothing. */

import type { EdgeProps } from '@xyflow/react';

type Ends = Pick<EdgeProps, 'sourceX' | 'sourceY' | 'targetX' | 'targetY'>;

interface Point {
  x: number;
  y: number;
}

export interface Segment extends Point {
  lengthPx: number;
  /** Clockwise from the right. */
  angleDeg: number;
  /** The way before it, so that stripes go on from one piece to the next. */
  beforePx: number;
}

export interface Route {
  /** For SVG, with rounded corners. */
  path: string;
  /** The same way for what travels on it: its corners cut, with the part of the way behind it. */
  waypoints: (Point & { part: number })[];
  segments: Segment[];
  /** Where its figures stand. */
  x: number;
  y: number;
  /** They stand to the right of the line instead of above and below it. */
  isUpright: boolean;
}

const CORNER_PX = 14;

/** `bend` leads the way out on the side that both ends look to, that far. */
export function route({ sourceX, sourceY, targetX, targetY }: Ends, bend?: number): Route {
  const from = { x: sourceX, y: sourceY };
  const to = { x: targetX, y: targetY };
  const isAcross = Math.abs(to.x - from.x) > Math.abs(to.y - from.y);
  if (bend === undefined) return routeOf([from, to], isAcross ? false : true);
  const [a, b] = isAcross ? [{ x: from.x, y: from.y - bend }, { x: to.x, y: to.y - bend }] : [{ x: from.x - bend, y: from.y }, { x: to.x - bend, y: to.y }];
  return routeOf([from, a, b, to], !isAcross);
}

function routeOf(points: Point[], isUpright: boolean): Route {
  const segments: Segment[] = [];
  let beforePx = 0;
  points.slice(1).forEach((end, index) => {
    const start = points[index] ?? end;
    const lengthPx = Math.hypot(end.x - start.x, end.y - start.y);
    segments.push({ ...start, lengthPx, angleDeg: (Math.atan2(end.y - start.y, end.x - start.x) * 180) / Math.PI, beforePx });
    beforePx += lengthPx;
  });
  const middle = segments[Math.floor(segments.length / 2)];
  const half = (middle?.lengthPx ?? 0) / 2;
  const angle = ((middle?.angleDeg ?? 0) * Math.PI) / 180;
  return {
    path: pathOf(points),
    waypoints: waypointsOf(points),
    segments,
    x: (middle?.x ?? 0) + Math.cos(angle) * half,
    y: (middle?.y ?? 0) + Math.sin(angle) * half,
    isUpright,
  };
}

function pathOf(points: Point[]): string {
  const at = ({ x, y }: Point) => `${x.toFixed(1)} ${y.toFixed(1)}`;
  return points
    .map((point, index) => {
      const [before, after] = [points[index - 1], points[index + 1]];
      if (!before) return `M${at(point)}`;
      if (!after) return `L${at(point)}`;
      return `L${at(towards(point, before))}Q${at(point)} ${at(towards(point, after))}`;
    })
    .join('');
}

function waypointsOf(points: Point[]): (Point & { part: number })[] {
  const cut = points.flatMap((point, index) => {
    const [before, after] = [points[index - 1], points[index + 1]];
    return before && after ? [towards(point, before), towards(point, after)] : [point];
  });
  const lengths = cut.map((point, index) => {
    const before = cut[index - 1] ?? point;
    return Math.hypot(point.x - before.x, point.y - before.y);
  });
  const upTo = (index: number) => lengths.slice(0, index + 1).reduce((a, b) => a + b, 0);
  const whole = upTo(cut.length - 1) || 1;
  return cut.map((point, index) => ({ ...point, part: upTo(index) / whole }));
}

/** A corner's width away from a point, on the way to another. */
function towards(from: Point, to: Point): Point {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const part = Math.min(CORNER_PX, length / 2) / length;
  return { x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part };
}
