//! Makes single events: fills the seven types' fields for given accounts and amounts.
//!
//! [`Generator`](crate::generator::Generator) and [`Guichet`](crate::guichet::Guichet) decide what
//! happens to whom; from here an event goes to the [`publisher`](crate::publish).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rust_decimal::Decimal;
use schemas::{
    Canal, CanalRetrait, CompteFerme, CompteOuvert, DepotEffectue, Event, EventType,
    PaiementPrimeEffectue, RetraitEffectue, StatutVirement, TypeCompte, VirementEmis, VirementRecu,
};
use uuid::Uuid;

use crate::fake_data::FakeData;

const DEVISE: &str = "EUR";

/// Makes events. Their business content comes from the seed alone; their ids do not, because the
/// same `event_id` with another timestamp would be a conflict and not a new event.
pub struct Factory {
    pub fake: FakeData,
    event_ids: ChaCha8Rng,
    /// Written into each opening, so that an account can be traced to its simulation.
    simulation_id: Option<String>,
}

impl Factory {
    /// `run` makes the event ids and is the simulation's own id, if there is one.
    pub fn new(seed: u64, run: Uuid, simulation: bool) -> Self {
        let mut key = [0; 32];
        key[..16].copy_from_slice(run.as_bytes());
        Self {
            fake: FakeData::new(seed),
            event_ids: ChaCha8Rng::from_seed(key),
            simulation_id: simulation.then(|| run.to_string()),
        }
    }

    /// A version 7 UUID: it grows with time, which keeps bancaire's index on it compact.
    pub fn event_id(&mut self, at: DateTime<Utc>) -> String {
        let mut random = [0; 10];
        self.event_ids.fill_bytes(&mut random);
        let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &random)
            .into_uuid()
            .to_string()
    }

    pub fn compte_ouvert(
        &mut self,
        compte_id: Uuid,
        client_id: Uuid,
        cents: i64,
        at: DateTime<Utc>,
    ) -> Event {
        let titulaire = format!("{} {}", self.fake.prenom(), self.fake.nom());
        let mut metadata = BTreeMap::from([
            ("iban".to_owned(), self.fake.iban()),
            ("titulaire".to_owned(), titulaire),
        ]);
        if let Some(id) = &self.simulation_id {
            metadata.insert("simulation_id".to_owned(), id.clone());
        }
        CompteOuvert {
            event_id: self.event_id(at),
            timestamp: at,
            compte_id: compte_id.to_string(),
            client_id: client_id.to_string(),
            type_compte: self.fake.pick(&TypeCompte::ALL),
            devise: DEVISE.into(),
            solde_initial: euros(cents),
            metadata: Some(metadata),
        }
        .into()
    }

    pub fn compte_ferme(&mut self, compte_id: Uuid, client_id: Uuid, at: DateTime<Utc>) -> Event {
        CompteFerme {
            event_id: self.event_id(at),
            timestamp: at,
            compte_id: compte_id.to_string(),
            client_id: client_id.to_string(),
            motif: self.fake.motif_fermeture().into(),
            metadata: None,
        }
        .into()
    }

    pub fn depot(&mut self, compte_id: Uuid, cents: i64, at: DateTime<Utc>) -> Event {
        DepotEffectue {
            event_id: self.event_id(at),
            timestamp: at,
            compte_id: compte_id.to_string(),
            montant: euros(cents),
            devise: DEVISE.into(),
            reference: self.fake.reference("DEP"),
            canal: self.fake.pick(&Canal::ALL),
            metadata: None,
        }
        .into()
    }

    pub fn retrait(&mut self, compte_id: Uuid, cents: i64, at: DateTime<Utc>) -> Event {
        RetraitEffectue {
            event_id: self.event_id(at),
            timestamp: at,
            compte_id: compte_id.to_string(),
            montant: euros(cents),
            devise: DEVISE.into(),
            reference: self.fake.reference("RET"),
            canal: self.fake.pick(&CanalRetrait::ALL),
            metadata: None,
        }
        .into()
    }

    pub fn paiement_prime(&mut self, compte_id: Uuid, cents: i64, at: DateTime<Utc>) -> Event {
        PaiementPrimeEffectue {
            event_id: self.event_id(at),
            timestamp: at,
            compte_id: compte_id.to_string(),
            montant: euros(cents),
            devise: DEVISE.into(),
            reference: self.fake.reference("PRI"),
            police_id: self.fake.police_id(),
            metadata: None,
        }
        .into()
    }

    pub fn virement_emis(
        &mut self,
        source: Uuid,
        destination: Uuid,
        cents: i64,
        at: DateTime<Utc>,
    ) -> Event {
        VirementEmis {
            event_id: self.event_id(at),
            timestamp: at,
            compte_source_id: source.to_string(),
            compte_destination_id: destination.to_string(),
            montant: euros(cents),
            devise: DEVISE.into(),
            motif: self.fake.motif_virement().into(),
            reference: self.fake.reference("VIR"),
            statut: StatutVirement::Initie,
            metadata: None,
        }
        .into()
    }

    /// A transfer that arrives from another bank, so that no event of the lab is its cause.
    pub fn virement_recu(
        &mut self,
        source: Uuid,
        destination: Uuid,
        cents: i64,
        at: DateTime<Utc>,
    ) -> Event {
        VirementRecu {
            event_id: self.event_id(at),
            timestamp: at,
            compte_source_id: source.to_string(),
            compte_destination_id: destination.to_string(),
            montant: euros(cents),
            devise: DEVISE.into(),
            motif: self.fake.motif_virement().into(),
            reference: self.fake.reference("VIR"),
            virement_emis_id: None,
            metadata: None,
        }
        .into()
    }

    /// A valid event about accounts that nobody opened, to be spoilt.
    pub fn stranger(&mut self, event_type: EventType, at: DateTime<Utc>) -> Event {
        let (compte, other) = (self.fake.compte_id(), self.fake.compte_id());
        let cents = self.fake.montant_cents(100, 100_000);
        match event_type {
            EventType::CompteOuvert => self.compte_ouvert(compte, other, cents, at),
            EventType::CompteFerme => self.compte_ferme(compte, other, at),
            EventType::DepotEffectue => self.depot(compte, cents, at),
            EventType::RetraitEffectue => self.retrait(compte, cents, at),
            EventType::VirementEmis => self.virement_emis(compte, other, cents, at),
            EventType::VirementRecu => self.virement_recu(other, compte, cents, at),
            EventType::PaiementPrimeEffectue => self.paiement_prime(compte, cents, at),
        }
    }
}

fn euros(cents: i64) -> Decimal {
    Decimal::new(cents, schemas::amount::SCALE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_made_whole_and_survives_its_encoding() {
        let at = DateTime::from_timestamp_millis(1_700_000_000_123).unwrap();
        let mut factory = Factory::new(7, Uuid::new_v4(), true);
        for event_type in EventType::ALL {
            let event = factory.stranger(event_type, at);
            assert_eq!(event.event_type(), event_type);
            assert_eq!(event.timestamp(), at);
            let id: Uuid = event.event_id().parse().unwrap();
            assert_eq!(id.get_version_num(), 7);
            event.check().unwrap();
            let mut body = Vec::new();
            event.encode(&mut body);
            assert_eq!(Event::decode(event_type, &body).unwrap(), event);
        }
    }
}
