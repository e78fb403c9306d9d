/**
 * A word that explains itself: one sentence on hover or focus, and a link to its place in the
 * guide.
 */

import { useId, useLayoutEffect, useRef, useState, type ReactNode, type RefObject } from 'react';
import { createPortal } from 'react-dom';

import { useT } from '@/lib/i18n';
import { TERMS, type TermName } from '@/lib/terms';
import { pathOf } from '@/lib/router';
import { Link } from '@/lib/ui/Link';

export function Term({ name, children }: { name: TermName; children?: ReactNode }) {
  const t = useT();
  const id = useId();
  const anchor = useRef<HTMLAnchorElement>(null);
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <Link
        ref={anchor}
        to={pathOf('guide', name)}
        aria-describedby={isOpen ? id : undefined}
        className="cursor-help text-inherit underline decoration-dotted decoration-ink-3/70 underline-offset-3"
        onMouseEnter={() => {
          setOpen(true);
        }}
        onMouseLeave={() => {
          setOpen(false);
        }}
        onFocus={() => {
          setOpen(true);
        }}
        onBlur={() => {
          setOpen(false);
        }}
        onKeyDown={(event) => {
          if (event.key === 'Escape' && isOpen) {
            event.stopPropagation();
            setOpen(false);
          }
        }}
      >
        {children ?? t(TERMS[name].title)}
      </Link>
      {isOpen && <Bubble id={id} anchor={anchor} text={t(TERMS[name].sentence)} hint={t('term.more')} />}
    </>
  );
}

const WIDTH = 280;
const MARGIN = 8;

function Bubble({ id, anchor, text, hint }: { id: string; anchor: RefObject<HTMLElement | null>; text: string; hint: string }) {
  const bubble = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState<{ left: number; top: number } | null>(null);
  useLayoutEffect(() => {
    if (!anchor.current || !bubble.current) return;
    const box = anchor.current.getBoundingClientRect();
    const height = bubble.current.offsetHeight;
    const below = box.bottom + MARGIN;
    const top = below + height > window.innerHeight - MARGIN ? box.top - height - MARGIN : below;
    const left = Math.min(Math.max(MARGIN, box.left + box.width / 2 - WIDTH / 2), window.innerWidth - WIDTH - MARGIN);
    setPlace({ left, top });
  }, [anchor]);
  return createPortal(
    <div
      ref={bubble}
      id={id}
      role="tooltip"
      className="pointer-events-none fixed z-50 rounded-md border border-line bg-panel p-3 text-left text-[0.8125rem] font-normal text-ink shadow-(--shadow)"
      style={{ width: WIDTH, left: place?.left ?? 0, top: place?.top ?? 0, visibility: place ? 'visible' : 'hidden' }}
    >
      {text}
      <span className="mt-1 block text-xs text-ink-3">{hint}</span>
    </div>,
    document.body,
  );
}
