//! The second half of a transfer: the `VirementRecu` that the outbox carries to the destination,
//! and the one that carries the money back when the destination refuses it.
//!
//! Both are functions of the transfer alone, their ids and timestamps included: emitting one twice,
//! even years later by a bank that reads the whole log again into an empty database, gives the same
//! bytes, which every reader recognises as a duplicate. The id also says which of the two a record
//! is, without trusting its other fields.

use schemas::{VirementEmis, VirementRecu};
use uuid::Uuid;

/// The namespace of derived ids; a constant of this project.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1c_3c5e_8d0b_5b7a_9a52_e2c1_1d3f_4e60);

fn derived(emis_id: &str, purpose: &str) -> String {
    Uuid::new_v5(&NAMESPACE, format!("{emis_id}/{purpose}").as_bytes()).to_string()
}

/// The `event_id` of the credit that a transfer causes.
pub fn recu_id(emis_id: &str) -> String {
    derived(emis_id, "recu")
}

/// The `event_id` of the credit that returns a transfer to its source.
pub fn retour_id(emis_id: &str) -> String {
    derived(emis_id, "retour")
}

/// The credit that an accepted transfer causes.
pub fn recu(emis: &VirementEmis) -> VirementRecu {
    VirementRecu {
        event_id: recu_id(&emis.event_id),
        timestamp: emis.timestamp,
        compte_source_id: emis.compte_source_id.clone(),
        compte_destination_id: emis.compte_destination_id.clone(),
        montant: emis.montant,
        devise: emis.devise.clone(),
        motif: emis.motif.clone(),
        reference: emis.reference.clone(),
        virement_emis_id: Some(emis.event_id.clone()),
        metadata: None,
    }
}

/// The credit that returns a refused one to its source.
///
/// `None` unless the refused credit was caused by a transfer of this bank: anybody may publish a
/// `VirementRecu`, and returning money that nobody sent would create it. A return that is refused
/// is not returned again.
pub fn retour(refused: &VirementRecu) -> Option<VirementRecu> {
    let emis_id = refused.virement_emis_id.as_deref()?;
    if refused.event_id != recu_id(emis_id) {
        return None;
    }
    Some(VirementRecu {
        event_id: retour_id(emis_id),
        timestamp: refused.timestamp,
        compte_source_id: refused.compte_destination_id.clone(),
        compte_destination_id: refused.compte_source_id.clone(),
        montant: refused.montant,
        devise: refused.devise.clone(),
        motif: "Retour de virement".into(),
        reference: refused.reference.clone(),
        virement_emis_id: Some(emis_id.to_owned()),
        metadata: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::samples;
    use schemas::Event;

    #[test]
    fn a_transfer_always_causes_the_same_and_a_return_is_not_returned() {
        let Event::VirementEmis(emis) = samples::virement("e1", "a", "b", "5.00") else {
            unreachable!()
        };
        let credit = recu(&emis);
        assert_eq!(credit, recu(&emis));
        let back = retour(&credit).unwrap();
        assert_eq!(back.compte_destination_id, "a");
        assert_ne!(back.event_id, credit.event_id);
        assert_eq!(retour(&back), None);
    }

    #[test]
    fn money_that_nobody_sent_is_not_returned() {
        let Event::VirementRecu(foreign) = samples::recu("x", "a", "b", "5.00", Some("e1")) else {
            unreachable!()
        };
        assert_eq!(retour(&foreign), None);
    }
}
