/**
 * The WebSocket's messages: JSON text frames on /ws. What they carry is generated from the
 * gateway's OpenAPI document; only their envelope is written here.
 */

import type { components } from '@/lib/openapi';

type G = components['schemas'];

export type ClientMessage =
  | { action: 'subscribe'; topics: string[]; /** Events per second and topic above which samples suffice. */ max_rate?: number }
  | { action: 'unsubscribe'; topics: string[] };

export type TopicStats = G['TopicStats'];

interface Timed {
  timestamp: string;
}

export type EventMessage = Timed & { type: 'event'; topic: string; payload: G['EventPayload'] };
export type StatsMessage = Timed & { type: 'stats'; payload: G['StatsPayload'] };
export type StatusMessage = Timed & { type: 'status'; payload: G['StatusPayload'] };
export type LaggedMessage = Timed & { type: 'lagged'; payload: G['LaggedPayload'] };
export type ErrorMessage = Timed & { type: 'error'; payload: G['ErrorPayload'] };
export type ServerMessage = EventMessage | StatsMessage | StatusMessage | LaggedMessage | ErrorMessage;

/** A frame's message; undefined for what this page does not know. */
export function parseMessage(text: string): ServerMessage | undefined {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof message !== 'object' || message === null) return undefined;
  const { type, payload } = message as { type?: unknown; payload?: unknown };
  const isKnown = ['event', 'stats', 'status', 'lagged', 'error'].includes(type as string);
  return isKnown && typeof payload === 'object' && payload !== null ? (message as ServerMessage) : undefined;
}
