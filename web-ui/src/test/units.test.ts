/** The small pure functions: formats, wire format, validation, addresses, words. */

import { describe, expect, it } from 'vitest';

import { parseAddress } from '@/features/events/EventTable';
import { movingAverage, trendOf } from '@/features/metrics/useMetrics';
import { age, amount, bytes, clock, count, latency, logLine, rate } from '@/lib/format';
import { translate } from '@/lib/i18n';
import { en } from '@/lib/i18n/en';
import { fr } from '@/lib/i18n/fr';
import { parsePath, pathOf } from '@/lib/router';
import { ratesOf } from '@/lib/ui/Sparkline';
import { eventTemplate, validateEvent } from '@/lib/validateEvent';
import { readWire } from '@/lib/wire';

describe('format', () => {
  it('writes numbers as the language does', () => {
    expect(count(1234567, 'en')).toBe('1,234,567');
    expect(count(null, 'en')).toBe('–');
    expect(rate(14.26, 'en')).toBe('14.3');
    expect(rate(1048.7, 'en')).toBe('1,049');
    expect(latency(3.21, 'fr')).toBe('3,2 ms');
    expect(latency(12_345, 'en')).toBe('12 s');
    expect(bytes(1_500_000, 'en')).toBe('1.5 MB');
    expect(clock(3725)).toBe('01:02:05');
    expect(age(125_000)).toBe('2 min');
  });
  it('writes a log line for people, and leaves alone what is none', () => {
    const line = '{"kafka.topic":"a.b","level":"WARN","message":"Slow","ms":12,"service":"bancaire","timestamp":"2026-01-02T03:04:05.678901Z"}';
    expect(logLine(line)).toBe('03:04:05.678 WARN Slow kafka.topic=a.b ms=12');
    expect(logLine('[2026-01-02] INFO started')).toBe('[2026-01-02] INFO started');
    expect(logLine('{"a":1}')).toBe('{"a":1}');
    expect(logLine('null')).toBe('null');
  });
  it('never passes an amount through a float', () => {
    expect(amount('1234567890123456.78', 'EUR', 'en')).toBe('1,234,567,890,123,456.78\u00a0€');
    expect(amount('-5.1', 'EUR', 'fr')).toBe('−5,10\u00a0€');
    expect(amount('odd', 'EUR', 'en')).toBe('odd');
    expect(amount(null, 'EUR', 'en')).toBe('–');
  });
});

describe('wire format', () => {
  it('tells magic, schema id and body apart', () => {
    const wire = readWire(btoa('\x00\x00\x00\x01\x02body'));
    expect(wire).toMatchObject({ magic: 0, schemaId: 258, bodyAt: 5 });
  });
  it('bears what is broken', () => {
    expect(readWire('')).toMatchObject({ magic: undefined, schemaId: undefined });
    expect(readWire(btoa('\x00\x00'))).toMatchObject({ magic: 0, schemaId: undefined, bodyAt: 2 });
    expect(readWire('%%%').bytes).toHaveLength(0);
  });
});

describe('validateEvent', () => {
  it('takes its own template', () => {
    const event = { ...eventTemplate('DepotEffectue', 'compte-1', new Date(0)), reference: 'R' };
    const { problems } = validateEvent('DepotEffectue', JSON.stringify(event));
    expect(problems).toEqual([]);
    expect(event).toMatchObject({ compte_id: 'compte-1', devise: 'EUR', canal: 'GUICHET' });
  });
  it('names every problem at once', () => {
    const event = { ...eventTemplate('DepotEffectue', 'a', new Date(0)), montant: '1.234', canal: 'FAX', extra: 1, compte_id: undefined };
    const { event: good, problems } = validateEvent('DepotEffectue', JSON.stringify(event));
    expect(good).toBeNull();
    expect(problems.map(({ key, params }) => [key, params.name])).toEqual([
      ['json.missing', 'compte_id'],
      ['json.type', 'montant'],
      ['json.type', 'canal'],
      ['json.unknown', 'extra'],
    ]);
  });
  it('says what is no JSON and what is no object', () => {
    expect(validateEvent('DepotEffectue', '{').problems[0]?.key).toBe('json.invalid');
    expect(validateEvent('DepotEffectue', '[1]').problems[0]?.key).toBe('json.notObject');
  });
});

describe('addresses', () => {
  it('go there and back', () => {
    expect(parsePath(pathOf('accounts', 'a/b', { event: 'x y' }))).toMatchObject({ view: 'accounts', id: 'a/b' });
    expect(parsePath('/nowhere').view).toBe('flow');
    expect(parsePath('/accounts/%zz').id).toBe('%zz');
    expect(parseAddress('bancaire.paiement-prime.effectue-2-41')).toEqual({ topic: 'bancaire.paiement-prime.effectue', partition: 2, offset: 41 });
    expect(parseAddress('nonsense')).toBeUndefined();
  });
});

describe('curves', () => {
  it('are differences per second, and have holes where nothing is known', () => {
    const samples = [0, 10, null, 30, 5].map((value, n) => ({ atMs: n * 1000, value }));
    expect(ratesOf(samples, ({ value }) => value)).toEqual([10, null, null, null]);
  });
  it('have a mean and a direction', () => {
    expect(movingAverage([null, 2, 4], 5)).toBe(3);
    expect(movingAverage([], 5)).toBe(0);
    expect(trendOf([0, 0, 0, 0, 0, 10, 10, 10, 10, 10])).toBe('up');
    expect(trendOf([10, 10, 10, 10, 10, 0, 0, 0, 0, 0])).toBe('down');
    expect(trendOf([10, 10, 10, 10, 10, 10, 10, 10, 10, 10])).toBe('flat');
  });
});

describe('words', () => {
  it('fill in the same parameters in both languages', () => {
    const names = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort();
    for (const key of Object.keys(en) as (keyof typeof en)[]) expect(names(fr[key]), key).toEqual(names(en[key]));
    expect(translate('fr', 'tour.step', { step: 1, steps: 5 })).toBe('1 sur 5');
  });
});
