/** A link to another view: without loading the page anew, unless it is opened elsewhere. */

import type { AnchorHTMLAttributes, MouseEvent, Ref } from 'react';

import { navigate } from '@/lib/router';

export function Link({ to, onClick, className = 'text-accent underline-offset-2 hover:underline', ...rest }: AnchorHTMLAttributes<HTMLAnchorElement> & { to: string; ref?: Ref<HTMLAnchorElement> }) {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    navigate(to);
  };
  return <a href={to} onClick={follow} className={className} {...rest} />;
}
