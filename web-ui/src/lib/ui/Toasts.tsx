/** The stack of short messages, announced to screen readers as they come. */

import { CircleAlert, CircleCheck, Info, X } from 'lucide-react';

import { useT } from '@/lib/i18n';
import { useToasts } from '@/lib/toasts';
import { IconButton } from '@/lib/ui/controls';

const ICONS = { good: CircleCheck, bad: CircleAlert, info: Info };
const COLOURS = { good: 'text-good', bad: 'text-bad', info: 'text-accent' };

export function Toasts() {
  const t = useT();
  const { toasts, dismiss } = useToasts();
  return (
    <div aria-live="polite" className="pointer-events-none fixed right-4 bottom-10 z-50 flex w-88 max-w-[calc(100vw-2rem)] flex-col gap-2">
      {toasts.map((toast) => {
        const Icon = ICONS[toast.tone];
        return (
          <div
            key={toast.id}
            data-testid={`toast-${toast.tone}`}
            role={toast.tone === 'bad' ? 'alert' : 'status'}
            className="pointer-events-auto flex animate-[pulse-in_160ms_ease-out] items-start gap-2 rounded-md border border-line bg-panel p-3 shadow-(--shadow)"
          >
            <Icon aria-hidden className={`mt-0.5 size-4 shrink-0 ${COLOURS[toast.tone]}`} />
            <div className="min-w-0 flex-1">
              <p className="font-medium">{toast.title}</p>
              {toast.detail && <p className="text-[0.8125rem] text-ink-2 [overflow-wrap:anywhere]">{toast.detail}</p>}
            </div>
            <IconButton
              label={t('close')}
              className="-m-1.5"
              onClick={() => {
                dismiss(toast.id);
              }}
            >
              <X aria-hidden className="size-3.5" />
            </IconButton>
          </div>
        );
      })}
    </div>
  );
}
