/**
 * Tells an edge that something passed on it. Beside React: an edge draws its dots itself, and at
 * a thousand a second a render for each would be the page's whole work.
 */

import type { EdgeId } from '@/lib/flow';

type Listener = (topic: string, count: number) => void;

class Pulses {
  private listeners = new Map<EdgeId, Set<Listener>>();

  on(edge: EdgeId, listener: Listener): () => void {
    const listeners = this.listeners.get(edge) ?? new Set();
    this.listeners.set(edge, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  emit(edge: EdgeId, topic: string, count = 1): void {
    for (const listener of this.listeners.get(edge) ?? []) listener(topic, count);
  }
}

export const pulses = new Pulses();
