//! Small events for tests, each with an id of its own.

use chrono::{DateTime, SubsecRound, Utc};
use schemas::{
    Canal, CanalRetrait, CompteFerme, CompteOuvert, DepotEffectue, Event, PaiementPrimeEffectue,
    RetraitEffectue, StatutVirement, TypeCompte, VirementEmis,
};

/// A new random UUID.
pub fn id() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(3)
}

fn decimal(text: &str) -> rust_decimal::Decimal {
    let mut value: rust_decimal::Decimal = text.parse().expect("an amount such as 12.34");
    value.rescale(2);
    value
}

pub fn compte_ouvert(compte_id: &str, solde_initial: &str) -> Event {
    Event::CompteOuvert(CompteOuvert {
        event_id: id(),
        timestamp: now(),
        compte_id: compte_id.into(),
        client_id: id(),
        type_compte: TypeCompte::Courant,
        devise: "EUR".into(),
        solde_initial: decimal(solde_initial),
        metadata: None,
    })
}

pub fn compte_ferme(compte_id: &str) -> Event {
    Event::CompteFerme(CompteFerme {
        event_id: id(),
        timestamp: now(),
        compte_id: compte_id.into(),
        client_id: id(),
        motif: "Demande du client".into(),
        metadata: None,
    })
}

pub fn depot(compte_id: &str, montant: &str) -> Event {
    Event::DepotEffectue(DepotEffectue {
        event_id: id(),
        timestamp: now(),
        compte_id: compte_id.into(),
        montant: decimal(montant),
        devise: "EUR".into(),
        reference: "DEP-TEST".into(),
        canal: Canal::Guichet,
        metadata: None,
    })
}

pub fn retrait(compte_id: &str, montant: &str) -> Event {
    Event::RetraitEffectue(RetraitEffectue {
        event_id: id(),
        timestamp: now(),
        compte_id: compte_id.into(),
        montant: decimal(montant),
        devise: "EUR".into(),
        reference: "RET-TEST".into(),
        canal: CanalRetrait::Distributeur,
        metadata: None,
    })
}

pub fn prime(compte_id: &str, montant: &str) -> Event {
    Event::PaiementPrimeEffectue(PaiementPrimeEffectue {
        event_id: id(),
        timestamp: now(),
        compte_id: compte_id.into(),
        montant: decimal(montant),
        devise: "EUR".into(),
        reference: "PRI-TEST".into(),
        police_id: "POL-TEST".into(),
        metadata: None,
    })
}

pub fn virement(source: &str, destination: &str, montant: &str) -> Event {
    Event::VirementEmis(VirementEmis {
        event_id: id(),
        timestamp: now(),
        compte_source_id: source.into(),
        compte_destination_id: destination.into(),
        montant: decimal(montant),
        devise: "EUR".into(),
        motif: "Loyer".into(),
        reference: "VIR-TEST".into(),
        statut: StatutVirement::Initie,
        metadata: None,
    })
}
