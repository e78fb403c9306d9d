/**
 * The views and how one gets to them: a path and search parameters. Features link to each other
 * through this, never by import.
 */

import { create } from 'zustand';

export const VIEWS = ['flow', 'events', 'kafka', 'accounts', 'ledger', 'dead-letters', 'break', 'guide'] as const;
export type View = (typeof VIEWS)[number];

export interface Route {
  view: View;
  /** The path's second part, such as an account's id. */
  id: string | null;
  search: URLSearchParams;
}

export const useRoute = create<Route>(() => (typeof window === 'undefined' ? parsePath('/') : parsePath(currentPath())));

/** A view's address. */
export function pathOf(view: View, id?: string | null, search?: Record<string, string>): string {
  const path = view === 'flow' ? '/' : `/${view}`;
  const query = search && Object.keys(search).length > 0 ? `?${new URLSearchParams(search).toString()}` : '';
  return `${path}${id ? `/${encodeURIComponent(id)}` : ''}${query}`;
}

export function navigate(path: string): void {
  history.pushState(null, '', path);
  useRoute.setState(parsePath(path));
}

/** Changes the address without a step in the browser's history. */
export function replace(path: string): void {
  history.replaceState(null, '', path);
  useRoute.setState(parsePath(path));
}

export function followHistory(): () => void {
  const update = () => {
    useRoute.setState(parsePath(currentPath()));
  };
  window.addEventListener('popstate', update);
  return () => {
    window.removeEventListener('popstate', update);
  };
}

export function parsePath(path: string): Route {
  const url = new URL(path, 'http://page');
  const [first = '', second] = url.pathname.split('/').filter(Boolean);
  const view = VIEWS.find((name) => name === first) ?? 'flow';
  return { view, id: second ? decode(second) : null, search: url.searchParams };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function currentPath(): string {
  return window.location.pathname + window.location.search;
}
