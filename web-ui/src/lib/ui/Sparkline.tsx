/** A small curve without axes: the shape of the last seconds. Its figure stands beside it. */

import { memo } from 'react';

interface SparklineProps {
  /** Oldest first; null where nothing was known. */
  values: (number | null)[];
  /** How many places the width has; fewer values start from the right. */
  slots: number;
  label: string;
  className?: string;
  colour?: string;
}

const WIDTH = 100;
const HEIGHT = 24;

export const Sparkline = memo(function Sparkline({ values, slots, label, className = '', colour = 'var(--accent)' }: SparklineProps) {
  const shown = values.slice(-slots);
  const max = Math.max(1, ...shown.map((value) => value ?? 0));
  const step = WIDTH / Math.max(1, slots - 1);
  const start = slots - shown.length;
  let line = '';
  let from: number | null = null;
  let last = 0;
  shown.forEach((value, index) => {
    if (value === null) return;
    const x = (start + index) * step;
    const y = HEIGHT - 1 - (value / max) * (HEIGHT - 3);
    line += `${from === null ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`;
    from ??= x;
    last = x;
  });
  return (
    <svg role="img" aria-label={label} viewBox={`0 0 ${String(WIDTH)} ${String(HEIGHT)}`} preserveAspectRatio="none" className={`block w-full ${className}`}>
      <path d={`M0 ${String(HEIGHT - 0.5)}H${String(WIDTH)}`} stroke="var(--line)" strokeWidth="1" vectorEffect="non-scaling-stroke" />
      {from !== null && (
        <>
          <path d={`${line}L${last.toFixed(1)} ${String(HEIGHT)}L${Number(from).toFixed(1)} ${String(HEIGHT)}Z`} fill={colour} opacity="0.12" />
          <path d={line} fill="none" stroke={colour} strokeWidth="1.5" strokeLinejoin="round" vectorEffect="non-scaling-stroke" />
        </>
      )}
    </svg>
  );
});

/** Differences per second between samples; null where either is unknown or a counter fell. What is
 * read at other moments than it is sampled is compared over `span` samples. */
export function ratesOf<Item extends { atMs: number }>(samples: Item[], value: (sample: Item) => number | null, span = 1): (number | null)[] {
  return samples.slice(1).map((sample, index) => {
    const before = samples[Math.max(0, index + 1 - span)];
    const now = value(sample);
    const then = before ? value(before) : null;
    if (!before || now === null || then === null || now < then || sample.atMs <= before.atMs) return null;
    return ((now - then) * 1000) / (sample.atMs - before.atMs);
  });
}
