/** Says what is wrong with an event's JSON before it is sent; the simulator checks again. */

import { EVENTS, type EventType } from '@/lib/eventTypes';

/** A problem, as a key of the dictionary and its parameters. */
export interface Problem {
  key: 'json.invalid' | 'json.notObject' | 'json.missing' | 'json.unknown' | 'json.type';
  params: Record<string, string>;
}

const DECIMAL = /^-?\d{1,16}(\.\d{1,2})?$/;

export function validateEvent(type: EventType, text: string): { event: Record<string, unknown> | null; problems: Problem[] } {
  let event: unknown;
  try {
    event = JSON.parse(text);
  } catch (error) {
    return { event: null, problems: [{ key: 'json.invalid', params: { reason: String((error as Error).message) } }] };
  }
  if (typeof event !== 'object' || event === null || Array.isArray(event)) {
    return { event: null, problems: [{ key: 'json.notObject', params: {} }] };
  }
  const object = event as Record<string, unknown>;
  const { fields, optional = [] } = EVENTS[type];
  const problems: Problem[] = [];
  for (const [name, kind] of Object.entries(fields)) {
    const value = object[name];
    if (value === undefined || value === null) {
      if (!optional.includes(name)) problems.push({ key: 'json.missing', params: { name } });
    } else if (!matches(kind, value)) {
      problems.push({ key: 'json.type', params: { name, expected: expected(kind) } });
    }
  }
  for (const name of Object.keys(object)) {
    if (!(name in fields) && name !== 'metadata') problems.push({ key: 'json.unknown', params: { name } });
  }
  return { event: problems.length === 0 ? object : null, problems };
}

/** A filled-in example of a type, as a start for mending what could not be decoded. */
export function eventTemplate(type: EventType, key: string | undefined, now: Date): Record<string, unknown> {
  const event: Record<string, unknown> = {};
  for (const [name, kind] of Object.entries(EVENTS[type].fields)) {
    if (Array.isArray(kind)) event[name] = kind[0];
    else if (kind === 'timestamp') event[name] = now.toISOString();
    else if (kind === 'decimal') event[name] = '10.00';
    else if (name === 'devise') event[name] = 'EUR';
    else if (name === EVENTS[type].keyField && key) event[name] = key;
    else if (name === 'event_id') event[name] = crypto.randomUUID();
    else if (name === 'virement_emis_id') event[name] = null;
    else event[name] = '';
  }
  event.metadata = null;
  return event;
}

type Kind = (typeof EVENTS)[EventType]['fields'][string];

function matches(kind: Kind, value: unknown): boolean {
  if (typeof value !== 'string') return false;
  if (kind === 'decimal') return DECIMAL.test(value);
  if (kind === 'timestamp') return !Number.isNaN(Date.parse(value));
  return typeof kind === 'string' || kind.includes(value);
}

function expected(kind: Kind): string {
  if (kind === 'decimal') return '"1234.56"';
  if (kind === 'timestamp') return '"2026-01-31T12:00:00Z"';
  return typeof kind === 'string' ? '"…"' : kind.join(' | ');
}
