/**
 * A panel at the page's side with the details of one thing. What is beneath stays usable on a wide
 * screen; on a narrow one the drawer covers it. Focus goes in when it opens and back when it closes.
 */

import { X } from 'lucide-react';
import { useEffect, useId, useRef, type ReactNode } from 'react';

import { useT } from '@/lib/i18n';
import { IconButton } from '@/lib/ui/controls';

interface DrawerProps {
  title: ReactNode;
  onClose: () => void;
  side?: 'left' | 'right';
  children: ReactNode;
  className?: string;
}

export function Drawer({ title, onClose, side = 'right', children, className = '' }: DrawerProps) {
  const t = useT();
  const id = useId();
  const panel = useRef<HTMLElement>(null);
  const close = useRef(onClose);
  useEffect(() => {
    close.current = onClose;
  });
  useEffect(() => {
    const before = document.activeElement;
    panel.current?.focus();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key === 'Escape' && !event.defaultPrevented) close.current();
    };
    window.addEventListener('keydown', onKey);
    return () => {
      window.removeEventListener('keydown', onKey);
    };
  }, []);
  return (
    <aside
      ref={panel}
      role="dialog"
      aria-labelledby={id}
      tabIndex={-1}
      className={`absolute inset-y-0 z-30 flex w-full flex-col border-line bg-panel shadow-(--shadow) outline-none animate-[pulse-in_120ms_ease-out] sm:w-[30rem] ${side === 'right' ? 'right-0 border-l' : 'left-0 border-r'} ${className}`}
    >
      <header className="flex items-center gap-2 border-b border-line py-2 pr-2 pl-4">
        <h2 id={id} className="min-w-0 flex-1 truncate text-sm font-semibold">
          {title}
        </h2>
        <IconButton label={t('close')} onClick={onClose}>
          <X aria-hidden className="size-4" />
        </IconButton>
      </header>
      <div className="min-h-0 flex-1 overflow-y-auto">{children}</div>
    </aside>
  );
}
