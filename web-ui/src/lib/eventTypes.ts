/**
 * What the page knows of the seven event types: topic, key, fields, colour. The schemas crate is
 * the source; `eventTypes.test.ts` compares this file with its Avro files.
 */

export const EVENT_TYPES = [
  'CompteOuvert',
  'CompteFerme',
  'DepotEffectue',
  'RetraitEffectue',
  'VirementEmis',
  'VirementRecu',
  'PaiementPrimeEffectue',
] as const;

export type EventType = (typeof EVENT_TYPES)[number];

/** Dead letters travel on this topic as JSON. */
export const DLQ_TOPIC = 'system.dlq';

interface Description {
  topic: string;
  keyField: string;
  /** Every field but `metadata`, in the schema's order; a list holds the allowed words. */
  fields: Record<string, 'string' | 'timestamp' | 'decimal' | readonly string[]>;
  /** Fields that may be null. */
  optional?: readonly string[];
}

export const EVENTS: Record<EventType, Description> = {
  CompteOuvert: {
    topic: 'bancaire.compte.ouvert',
    keyField: 'compte_id',
    fields: {
      event_id: 'string',
      timestamp: 'timestamp',
      compte_id: 'string',
      client_id: 'string',
      type_compte: ['COURANT', 'EPARGNE', 'JOINT'],
      devise: 'string',
      solde_initial: 'decimal',
    },
  },
  CompteFerme: {
    topic: 'bancaire.compte.ferme',
    keyField: 'compte_id',
    fields: { event_id: 'string', timestamp: 'timestamp', compte_id: 'string', client_id: 'string', motif: 'string' },
  },
  DepotEffectue: {
    topic: 'bancaire.depot.effectue',
    keyField: 'compte_id',
    fields: {
      event_id: 'string',
      timestamp: 'timestamp',
      compte_id: 'string',
      montant: 'decimal',
      devise: 'string',
      reference: 'string',
      canal: ['GUICHET', 'VIREMENT', 'CHEQUE', 'CARTE'],
    },
  },
  RetraitEffectue: {
    topic: 'bancaire.retrait.effectue',
    keyField: 'compte_id',
    fields: {
      event_id: 'string',
      timestamp: 'timestamp',
      compte_id: 'string',
      montant: 'decimal',
      devise: 'string',
      reference: 'string',
      canal: ['GUICHET', 'DISTRIBUTEUR', 'CARTE'],
    },
  },
  VirementEmis: {
    topic: 'bancaire.virement.emis',
    keyField: 'compte_source_id',
    fields: {
      event_id: 'string',
      timestamp: 'timestamp',
      compte_source_id: 'string',
      compte_destination_id: 'string',
      montant: 'decimal',
      devise: 'string',
      motif: 'string',
      reference: 'string',
      statut: ['INITIE', 'EN_COURS', 'COMPLETE', 'REJETE'],
    },
  },
  VirementRecu: {
    topic: 'bancaire.virement.recu',
    keyField: 'compte_destination_id',
    fields: {
      event_id: 'string',
      timestamp: 'timestamp',
      compte_source_id: 'string',
      compte_destination_id: 'string',
      montant: 'decimal',
      devise: 'string',
      motif: 'string',
      reference: 'string',
      virement_emis_id: 'string',
    },
    optional: ['virement_emis_id'],
  },
  PaiementPrimeEffectue: {
    topic: 'bancaire.paiement-prime.effectue',
    keyField: 'compte_id',
    fields: {
      event_id: 'string',
      timestamp: 'timestamp',
      compte_id: 'string',
      montant: 'decimal',
      devise: 'string',
      reference: 'string',
      police_id: 'string',
    },
  },
};

/** What a person may produce by hand: VirementRecu comes from bancaire alone. */
export const PRODUCIBLE: readonly EventType[] = EVENT_TYPES.filter((type) => type !== 'VirementRecu');

const BY_TOPIC = new Map<string, EventType>(EVENT_TYPES.map((type) => [EVENTS[type].topic, type]));

export function eventTypeOf(topic: string): EventType | undefined {
  return BY_TOPIC.get(topic);
}

/** The name that stands beside a topic's colour: the event's type, or « dead letter ». */
export function topicLabel(topic: string): string {
  return eventTypeOf(topic) ?? (topic === DLQ_TOPIC ? 'Dead letter' : topic);
}

/** The CSS variable with a topic's colour (index.css, one set per theme). */
export function topicColour(topic: string): string {
  const type = eventTypeOf(topic);
  if (type) return `var(--event-${String(EVENT_TYPES.indexOf(type))})`;
  return topic === DLQ_TOPIC ? 'var(--event-dlq)' : 'var(--ink-3)';
}

/** An event's fields in its schema's order, whatever order they came in. */
export function inSchemaOrder(topic: string, event: unknown): unknown {
  const type = eventTypeOf(topic);
  if (!type || typeof event !== 'object' || event === null) return event;
  const given = event as Record<string, unknown>;
  const known = Object.keys(EVENTS[type].fields).filter((name) => name in given);
  return { ...Object.fromEntries(known.map((name) => [name, given[name]])), ...given };
}

/** The account that an event concerns: its partition key. */
export function accountOf(topic: string, event: unknown): string | undefined {
  const type = eventTypeOf(topic);
  if (!type || typeof event !== 'object' || event === null) return undefined;
  const value = (event as Record<string, unknown>)[EVENTS[type].keyField];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
