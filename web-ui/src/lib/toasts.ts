/** Short messages at the page's edge. */

import { create } from 'zustand';

export interface Toast {
  id: number;
  tone: 'good' | 'bad' | 'info';
  title: string;
  detail?: string;
}

/** More would cover the page; the oldest goes first. */
const TOASTS_MAX = 4;
const GOOD_MS = 5000;
/** Bad news stays long enough to be read twice. */
const BAD_MS = 12_000;

interface ToastState {
  toasts: Toast[];
  dismiss(id: number): void;
}

export const useToasts = create<ToastState>((set) => ({
  toasts: [],
  dismiss: (id) => {
    set(({ toasts }) => ({ toasts: toasts.filter((toast) => toast.id !== id) }));
  },
}));

let next = 1;

export function showToast(toast: Omit<Toast, 'id'>): void {
  const id = next++;
  useToasts.setState(({ toasts }) => ({ toasts: [...toasts.slice(1 - TOASTS_MAX), { ...toast, id }] }));
  setTimeout(() => {
    useToasts.getState().dismiss(id);
  }, toast.tone === 'bad' ? BAD_MS : GOOD_MS);
}
