/** The words that explain themselves: their sentence on hover, their paragraph in the guide. */

import type { Key } from '@/lib/i18n';

export const TERM_NAMES = [
  'event',
  'topic',
  'partition',
  'offset',
  'key',
  'lag',
  'group',
  'latency',
  'schema',
  'dead-letter',
  'ledger',
  'applied',
  'rejected',
  'parked',
  'duplicate',
  'in-flight',
  'outbox',
  'trace',
] as const;

export type TermName = (typeof TERM_NAMES)[number];

export const TERMS = Object.fromEntries(
  TERM_NAMES.map((name) => [name, { title: `term.${name}`, sentence: `term.${name}.sentence`, guide: `term.${name}.guide` }]),
) as Record<TermName, { title: Key; sentence: Key; guide: Key }>;
