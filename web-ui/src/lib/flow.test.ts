import { describe, expect, it } from 'vitest';

import { edgeTotals, flowLook, passed, sum } from '@/lib/flow';
import { ledgerOf } from '@/test/gateway';

const DEPOT = 'bancaire.depot.effectue';
const count = (n: number) => ({ count: n, rate: 0, sampled_out: 0 });

describe('edgeTotals', () => {
  it('tells what the simulator, bancaire and the dead letters published apart', () => {
    const totals = edgeTotals({ [DEPOT]: count(10), 'bancaire.virement.recu': count(3), 'system.dlq': count(2) }, null);
    expect(sum(totals['simulator-kafka'])).toBe(10);
    expect(sum(totals['bancaire-kafka'])).toBe(3);
    expect(sum(totals['bancaire-dlq'])).toBe(2);
    expect(totals['kafka-bancaire']).toBeNull();
  });

  it('takes from the books what was consumed and what was written', () => {
    const totals = edgeTotals({}, ledgerOf(DEPOT, { applied: 5, rejected: 1, parked: 1, dead_lettered: 2, duplicates: 1, in_flight: 9 }));
    expect(sum(totals['kafka-bancaire'])).toBe(10);
    expect(sum(totals['bancaire-postgres'])).toBe(7);
  });

  it('does not take the note of a replay for a dead letter', () => {
    const ledger = { ...ledgerOf(DEPOT, {}), dead_letters_published: 2 };
    expect(sum(edgeTotals({ 'system.dlq': count(3) }, ledger)['bancaire-dlq'])).toBe(2);
  });
});

describe('passed', () => {
  it('is what was added, by topic', () => {
    expect(passed({ a: 1, b: 2 }, { a: 4, b: 2, c: 1 })).toEqual({ a: 3, c: 1 });
  });
  it('is nothing when either is unknown or the lab began anew', () => {
    expect(passed(null, { a: 1 })).toEqual({});
    expect(passed({ a: 1 }, null)).toEqual({});
    expect(passed({ a: 5, b: 1 }, { a: 1, b: 9 })).toEqual({});
  });
});

describe('flowLook', () => {
  it('grows wider and faster with the rate, within limits', () => {
    const looks = [50, 100, 1000, 10_000, 1e9].map(flowLook);
    for (const [index, look] of looks.slice(1).entries()) {
      expect(look.widthPx).toBeGreaterThanOrEqual(looks[index]?.widthPx ?? 0);
      expect(look.periodS).toBeLessThanOrEqual(looks[index]?.periodS ?? 0);
    }
    expect(looks[0]?.widthPx).toBe(3);
    expect(looks.at(-1)?.widthPx).toBe(10);
  });
});
