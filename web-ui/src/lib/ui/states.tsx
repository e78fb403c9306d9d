/** What a part of the page shows while it has nothing to show: waiting, empty, refused. */

import { CircleAlert, Inbox } from 'lucide-react';
import type { ReactNode } from 'react';

import { ApiError } from '@/lib/api';
import { useT } from '@/lib/i18n';
import { Button } from '@/lib/ui/controls';

export function Loading({ lines = 4 }: { lines?: number }) {
  const t = useT();
  return (
    <div role="status" className="space-y-2 p-4">
      <span className="sr-only">{t('state.loading')}</span>
      {Array.from({ length: lines }, (_, line) => (
        <div key={line} className="h-5 animate-[wait_1.6s_ease-in-out_infinite] rounded bg-sunk" style={{ width: `${String(92 - line * 9)}%` }} />
      ))}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="flex flex-col items-center gap-2 px-6 py-12 text-center">
      <Inbox aria-hidden className="size-6 text-ink-3" />
      <p className="font-medium">{title}</p>
      {children && <div className="max-w-md text-ink-2">{children}</div>}
    </div>
  );
}

/** A refused call: the problem's title and detail, and the way to try again. */
export function Failed({ error, retry }: { error: unknown; retry?: () => void }) {
  const t = useT();
  const { title, detail } = describe(error);
  return (
    <div role="alert" className="m-4 flex items-start gap-3 rounded-md border border-bad/40 bg-panel p-3">
      <CircleAlert aria-hidden className="mt-0.5 size-4 shrink-0 text-bad" />
      <div className="min-w-0 flex-1">
        <p className="font-medium">{title}</p>
        {detail && <p className="text-ink-2 [overflow-wrap:anywhere]">{detail}</p>}
        <p className="mt-1 text-xs text-ink-3">{t('state.failed.hint')}</p>
      </div>
      {retry && <Button onClick={retry}>{t('state.retry')}</Button>}
    </div>
  );
}

/** An error in the words of its problem document. */
export function describe(error: unknown): { title: string; detail?: string | undefined } {
  if (error instanceof ApiError) return { title: error.problem.title, detail: error.problem.detail };
  return { title: error instanceof Error ? error.message : String(error) };
}
