// @vitest-environment node
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

import { accountOf, EVENT_TYPES, EVENTS, eventTypeOf, inSchemaOrder } from '@/lib/eventTypes';

const AVRO = new URL('../../../schemas/avro/', import.meta.url);

interface Schema {
  name: string;
  fields: { name: string; type: unknown }[];
}

const schemas = readdirSync(AVRO).map((file) => JSON.parse(readFileSync(new URL(file, AVRO), 'utf8')) as Schema);

function kindOf(type: unknown): unknown {
  if (Array.isArray(type)) return kindOf(type.find((option) => option !== 'null'));
  if (typeof type !== 'object' || type === null) return type;
  const { symbols, logicalType } = type as { symbols?: string[]; logicalType?: string };
  return symbols ?? (logicalType === 'timestamp-millis' ? 'timestamp' : logicalType);
}

describe('eventTypes', () => {
  it('knows the same events and fields as the Avro schemas', () => {
    expect(schemas.map(({ name }) => name).sort()).toEqual([...EVENT_TYPES].sort());
    for (const schema of schemas) {
      const known = EVENTS[schema.name as keyof typeof EVENTS];
      const fields = schema.fields.filter(({ name }) => name !== 'metadata');
      expect(known.fields, schema.name).toEqual(Object.fromEntries(fields.map(({ name, type }) => [name, kindOf(type)])));
      const optional = fields.filter(({ type }) => Array.isArray(type)).map(({ name }) => name);
      expect(known.optional ?? [], schema.name).toEqual(optional);
    }
  });

  it('shows fields in the schema’s order, and loses none', () => {
    const event = { montant: '1.00', compte_id: 'a', event_id: 'e', more: 1 };
    expect(Object.keys(inSchemaOrder('bancaire.depot.effectue', event) as object)).toEqual(['event_id', 'compte_id', 'montant', 'more']);
    expect(inSchemaOrder('system.dlq', event)).toBe(event);
  });

  it('finds the type by topic and the account by key', () => {
    for (const type of EVENT_TYPES) expect(eventTypeOf(EVENTS[type].topic)).toBe(type);
    expect(accountOf('bancaire.virement.emis', { compte_source_id: 'a', compte_destination_id: 'b' })).toBe('a');
    expect(accountOf('bancaire.virement.recu', { compte_source_id: 'a', compte_destination_id: 'b' })).toBe('b');
    expect(accountOf('system.dlq', {})).toBeUndefined();
    expect(accountOf('bancaire.depot.effectue', null)).toBeUndefined();
  });
});
