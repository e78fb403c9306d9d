/** The frame of a view: its title, one sentence on what it is for, and what one can do. */

import type { ReactNode } from 'react';

export function Page({ title, intro, actions, children }: { title: string; intro?: ReactNode; actions?: ReactNode; children: ReactNode }) {
  return (
    <section className="flex h-full min-h-0 flex-col" aria-label={title}>
      <header className="flex flex-wrap items-end gap-x-4 gap-y-2 px-4 pt-3 pb-2">
        <div className="min-w-0 flex-1 basis-72">
          <h1 className="text-base font-semibold">{title}</h1>
          {intro && <p className="max-w-3xl text-[0.8125rem] text-ink-2">{intro}</p>}
        </div>
        {actions && <div className="flex flex-wrap items-end gap-2">{actions}</div>}
      </header>
      <div className="min-h-0 flex-1">{children}</div>
    </section>
  );
}

/** A scrolling table in a panel. */
export function TableFrame({ label, children }: { label: string; children: ReactNode }) {
  return (
    // Focusable, so that the keyboard can scroll it.
    <div role="region" aria-label={label} tabIndex={0} className="h-full overflow-auto border-t border-line bg-panel">
      {children}
    </div>
  );
}

export const TH = 'sticky top-0 z-10 bg-panel border-b border-line px-3 py-2 text-left text-xs font-medium text-ink-2 whitespace-nowrap first-letter:uppercase';
export const TD = 'border-b border-line/70 px-3 py-1.5 whitespace-nowrap';
export const NUMBER = 'text-right';

/** Name and value, one line each. */
export function Facts({ rows }: { rows: [ReactNode, ReactNode][] }) {
  return (
    <dl className="grid grid-cols-[minmax(7rem,auto)_1fr] gap-x-4 gap-y-1 text-[0.8125rem]">
      {rows.map(([name, value], index) => (
        <div key={index} className="contents">
          <dt className="text-ink-3 first-letter:uppercase">{name}</dt>
          <dd className="min-w-0 [overflow-wrap:anywhere]">{value}</dd>
        </div>
      ))}
    </dl>
  );
}
