/** What the ledger's counts add up to. */

import type { Counts } from '@/lib/types';

/** What the log holds; unknown while the broker does not say what is in flight. Offsets without a
 * record are no records. */
export function recordsOf(counts: Counts): number | null {
  if (counts.in_flight === null || counts.in_flight === undefined) return null;
  return counts.applied + counts.rejected + counts.parked + counts.dead_lettered + counts.duplicates + counts.in_flight;
}
