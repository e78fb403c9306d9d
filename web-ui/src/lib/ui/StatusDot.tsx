/** A state as colour, shape and word: colour alone says nothing to one person in twelve. */

export type Level = 'good' | 'warn' | 'bad' | 'unknown';

const COLOURS: Record<Level, string> = {
  good: 'text-good',
  warn: 'text-warn',
  bad: 'text-bad',
  unknown: 'text-ink-3',
};

export function levelOf(status: string | null | undefined): Level {
  switch (status) {
    case 'healthy':
    case 'up':
    case 'connected':
      return 'good';
    case 'degraded':
      return 'warn';
    case undefined:
    case null:
    case 'unknown':
      return 'unknown';
    default:
      return 'bad';
  }
}

export function StatusDot({ level, className = '' }: { level: Level; className?: string }) {
  return (
    <svg aria-hidden viewBox="0 0 10 10" className={`size-2.5 shrink-0 ${COLOURS[level]} ${className}`} fill="currentColor">
      {level === 'good' && <circle cx="5" cy="5" r="4" />}
      {level === 'warn' && <path d="M5 0.8 9.6 9.2H0.4Z" />}
      {level === 'bad' && <path d="M1 1h8v8H1Z" />}
      {level === 'unknown' && <circle cx="5" cy="5" r="3.4" fill="none" stroke="currentColor" strokeWidth="1.5" />}
    </svg>
  );
}
