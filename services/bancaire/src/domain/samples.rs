//! Events and records for the tests of the domain.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use schemas::{
    Canal, CanalRetrait, CompteFerme, CompteOuvert, DepotEffectue, Event, PaiementPrimeEffectue,
    RetraitEffectue, StatutVirement, TypeCompte, VirementEmis, VirementRecu,
};

use super::record::{Content, Origin, Poisoned, Record, empreinte};

fn money(text: &str) -> Decimal {
    text.parse().unwrap()
}

pub fn at() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_700_000_000_000).unwrap()
}

pub fn ouvert(event_id: &str, compte: &str, solde: &str) -> Event {
    Event::CompteOuvert(CompteOuvert {
        event_id: event_id.into(),
        timestamp: at(),
        compte_id: compte.into(),
        client_id: "client".into(),
        type_compte: TypeCompte::Courant,
        devise: "EUR".into(),
        solde_initial: money(solde),
        metadata: None,
    })
}

pub fn ferme(event_id: &str, compte: &str) -> Event {
    Event::CompteFerme(CompteFerme {
        event_id: event_id.into(),
        timestamp: at(),
        compte_id: compte.into(),
        client_id: "client".into(),
        motif: "demande du client".into(),
        metadata: None,
    })
}

pub fn depot(event_id: &str, compte: &str, montant: &str) -> Event {
    Event::DepotEffectue(DepotEffectue {
        event_id: event_id.into(),
        timestamp: at(),
        compte_id: compte.into(),
        montant: money(montant),
        devise: "EUR".into(),
        reference: "REF".into(),
        canal: Canal::Guichet,
        metadata: None,
    })
}

pub fn retrait(event_id: &str, compte: &str, montant: &str) -> Event {
    Event::RetraitEffectue(RetraitEffectue {
        event_id: event_id.into(),
        timestamp: at(),
        compte_id: compte.into(),
        montant: money(montant),
        devise: "EUR".into(),
        reference: "REF".into(),
        canal: CanalRetrait::Distributeur,
        metadata: None,
    })
}

pub fn prime(event_id: &str, compte: &str, montant: &str) -> Event {
    Event::PaiementPrimeEffectue(PaiementPrimeEffectue {
        event_id: event_id.into(),
        timestamp: at(),
        compte_id: compte.into(),
        montant: money(montant),
        devise: "EUR".into(),
        reference: "REF".into(),
        police_id: "police".into(),
        metadata: None,
    })
}

pub fn virement(event_id: &str, source: &str, destination: &str, montant: &str) -> Event {
    Event::VirementEmis(VirementEmis {
        event_id: event_id.into(),
        timestamp: at(),
        compte_source_id: source.into(),
        compte_destination_id: destination.into(),
        montant: money(montant),
        devise: "EUR".into(),
        motif: "loyer".into(),
        reference: "REF".into(),
        statut: StatutVirement::Initie,
        metadata: None,
    })
}

pub fn recu(
    event_id: &str,
    source: &str,
    destination: &str,
    montant: &str,
    cause: Option<&str>,
) -> Event {
    Event::VirementRecu(VirementRecu {
        event_id: event_id.into(),
        timestamp: at(),
        compte_source_id: source.into(),
        compte_destination_id: destination.into(),
        montant: money(montant),
        devise: "EUR".into(),
        motif: "loyer".into(),
        reference: "REF".into(),
        virement_emis_id: cause.map(Into::into),
        metadata: None,
    })
}

/// A record as the consumer would build it, in partition 0 of the event's topic.
pub fn record(offset: i64, event: Event) -> Record {
    let mut body = Vec::new();
    event.encode(&mut body);
    Record {
        origin: Origin {
            topic: event.event_type(),
            partition: 0,
            offset,
        },
        empreinte: empreinte(&[vec![0; 5], body].concat()),
        content: Content::Event(event),
        key: None,
        value: None,
    }
}

pub fn poison(offset: i64, topic: schemas::EventType) -> Record {
    let poison = chassis::kafka::Poison::new("bad_magic", "the first byte is 0x7b");
    Record {
        origin: Origin {
            topic,
            partition: 0,
            offset,
        },
        empreinte: 0,
        content: Content::Poison(Box::new(Poisoned {
            poison,
            headers: vec![("traceparent".into(), "00-1-2-00".into())],
        })),
        key: None,
        value: Some(bytes::Bytes::from_static(b"{}")),
    }
}
