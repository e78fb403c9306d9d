/** An event's type: its colour and its name, always both. */

import { topicColour, topicLabel } from '@/lib/eventTypes';

export function EventTag({ topic, className = '' }: { topic: string; className?: string }) {
  return (
    <span className={`inline-flex min-w-0 items-center gap-1.5 ${className}`}>
      <span aria-hidden className="size-2 shrink-0 rounded-full" style={{ background: topicColour(topic) }} />
      <span className="truncate">{topicLabel(topic)}</span>
    </span>
  );
}
