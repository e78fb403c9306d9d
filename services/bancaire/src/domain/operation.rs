//! What an event asks an account to do, and which events can be dealt with at all.

use chassis::kafka::Poison;
use chrono::{DateTime, Datelike, Utc};
use rust_decimal::Decimal;
use schemas::{Event, VirementEmis, VirementRecu};

use super::compte::{Devise, SOLDE_MAX, TypeTransaction};

/// One event seen from its account. Every event touches exactly one: the account that keys it.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'a> {
    pub event_id: &'a str,
    pub compte_id: &'a str,
    pub kind: TypeTransaction,
    pub montant: Decimal,
    pub devise: Option<Devise>,
    pub reference: Option<&'a str>,
    /// For a `VirementRecu`: the `event_id` of the transfer that caused it.
    pub cause_id: Option<&'a str>,
    pub evenement_le: DateTime<Utc>,
    pub effect: Effect<'a>,
}

/// What happens to the account when the operation is accepted.
#[derive(Debug, Clone, Copy)]
pub enum Effect<'a> {
    Open {
        client_id: &'a str,
        type_compte: &'static str,
    },
    Close,
    Credit,
    Debit,
    /// A debit that also emits a `VirementRecu` for the destination.
    Transfer(&'a VirementEmis),
    /// A credit that sends the money back when it is refused.
    Receive(&'a VirementRecu),
}

impl<'a> Operation<'a> {
    /// Routes an event to its effect.
    pub fn of(event: &'a Event) -> Self {
        let base = |compte_id, montant, devise: Option<&str>, reference, effect| Self {
            event_id: event.event_id(),
            compte_id,
            kind: TypeTransaction::of(event.event_type()),
            montant,
            devise: devise.and_then(Devise::parse),
            reference,
            cause_id: None,
            evenement_le: event.timestamp(),
            effect,
        };
        match event {
            Event::CompteOuvert(e) => base(
                e.compte_id.as_str(),
                e.solde_initial,
                Some(&e.devise),
                None,
                Effect::Open {
                    client_id: &e.client_id,
                    type_compte: e.type_compte.as_str(),
                },
            ),
            Event::CompteFerme(e) => base(&e.compte_id, Decimal::ZERO, None, None, Effect::Close),
            Event::DepotEffectue(e) => base(
                &e.compte_id,
                e.montant,
                Some(&e.devise),
                Some(&e.reference),
                Effect::Credit,
            ),
            Event::RetraitEffectue(e) => base(
                &e.compte_id,
                e.montant,
                Some(&e.devise),
                Some(&e.reference),
                Effect::Debit,
            ),
            Event::PaiementPrimeEffectue(e) => base(
                &e.compte_id,
                e.montant,
                Some(&e.devise),
                Some(&e.reference),
                Effect::Debit,
            ),
            Event::VirementEmis(e) => base(
                &e.compte_source_id,
                e.montant,
                Some(&e.devise),
                Some(&e.reference),
                Effect::Transfer(e),
            ),
            Event::VirementRecu(e) => Self {
                cause_id: e.virement_emis_id.as_deref(),
                ..base(
                    &e.compte_destination_id,
                    e.montant,
                    Some(&e.devise),
                    Some(&e.reference),
                    Effect::Receive(e),
                )
            },
        }
    }

    pub const fn opens(&self) -> bool {
        matches!(self.effect, Effect::Open { .. })
    }
}

/// Refuses what no table can hold and no retry can mend, before PostgreSQL sees it: one bad row
/// would fail the whole batch's COPY.
///
/// # Errors
/// `invalid_field` poison that names the field.
pub fn validate(event: &Event) -> Result<(), Poison> {
    match event {
        Event::CompteOuvert(e) => {
            id("compte_id", &e.compte_id)?;
            id("client_id", &e.client_id)?;
            currency(&e.devise)?;
            amount("solde_initial", e.solde_initial, Decimal::ZERO)?;
        }
        Event::CompteFerme(e) => {
            id("compte_id", &e.compte_id)?;
            id("client_id", &e.client_id)?;
            text("motif", &e.motif, 200)?;
        }
        Event::DepotEffectue(e) => {
            movement(&e.compte_id, e.montant, &e.devise, &e.reference)?;
        }
        Event::RetraitEffectue(e) => {
            movement(&e.compte_id, e.montant, &e.devise, &e.reference)?;
        }
        Event::PaiementPrimeEffectue(e) => {
            movement(&e.compte_id, e.montant, &e.devise, &e.reference)?;
            text("police_id", &e.police_id, 100)?;
        }
        Event::VirementEmis(e) => {
            movement(&e.compte_source_id, e.montant, &e.devise, &e.reference)?;
            id("compte_destination_id", &e.compte_destination_id)?;
            text("motif", &e.motif, 200)?;
        }
        Event::VirementRecu(e) => {
            movement(&e.compte_destination_id, e.montant, &e.devise, &e.reference)?;
            id("compte_source_id", &e.compte_source_id)?;
            text("motif", &e.motif, 200)?;
            if let Some(cause) = &e.virement_emis_id {
                id("virement_emis_id", cause)?;
            }
        }
    }
    id("event_id", event.event_id())?;
    let year = event.timestamp().year();
    if !(1..=9999).contains(&year) {
        return Err(invalid("timestamp", format_args!("is in the year {year}")));
    }
    Ok(())
}

/// The smallest amount that moves: one cent.
const CENT: Decimal = Decimal::from_parts(1, 0, 0, false, 2);

fn movement(
    compte_id: &str,
    montant: Decimal,
    devise: &str,
    reference: &str,
) -> Result<(), Poison> {
    id("compte_id", compte_id)?;
    amount("montant", montant, CENT)?;
    currency(devise)?;
    text("reference", reference, 100)
}

fn amount(field: &str, amount: Decimal, least: Decimal) -> Result<(), Poison> {
    if amount.scale() > 2 {
        return Err(invalid(
            field,
            format_args!("has {} decimal places, not 2", amount.scale()),
        ));
    }
    if amount < least || amount > SOLDE_MAX {
        return Err(invalid(
            field,
            format_args!("is {amount}, not between {least} and {SOLDE_MAX}"),
        ));
    }
    Ok(())
}

fn currency(devise: &str) -> Result<(), Poison> {
    match Devise::parse(devise) {
        Some(_) => Ok(()),
        None => Err(invalid(
            "devise",
            format_args!("is {devise:?}, not three capital letters"),
        )),
    }
}

fn id(field: &str, value: &str) -> Result<(), Poison> {
    if value.is_empty() {
        return Err(invalid(field, "is empty"));
    }
    text(field, value, 36)
}

fn text(field: &str, value: &str, longest: usize) -> Result<(), Poison> {
    // U+0000 is valid Avro and invalid text in PostgreSQL.
    if value.as_bytes().contains(&0) {
        return Err(invalid(field, "contains U+0000"));
    }
    if value.len() > longest && value.chars().count() > longest {
        return Err(invalid(
            field,
            format_args!("is longer than {longest} characters"),
        ));
    }
    Ok(())
}

fn invalid(field: &str, what: impl std::fmt::Display) -> Poison {
    Poison::new("invalid_field", format!("{field} {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::samples::{depot, ouvert, recu, virement};

    fn kind(event: &Event) -> Option<&'static str> {
        validate(event).err().map(|poison| poison.kind)
    }

    /// Plan: TestRoute_CompteOuvert
    #[test]
    fn route_compte_ouvert() {
        let event = ouvert("e1", "a", "10.00");
        let operation = Operation::of(&event);
        assert!(operation.opens());
        assert_eq!(operation.compte_id, "a");
        assert_eq!(operation.kind, TypeTransaction::Ouverture);
        assert_eq!(validate(&event), Ok(()));
    }

    #[test]
    fn what_no_table_can_hold_is_refused_by_field() {
        let cases: Vec<(&str, Event)> = vec![
            ("event_id is empty", depot("", "a", "1.00")),
            ("compte_id is empty", depot("e", "", "1.00")),
            ("compte_id is longer", depot("e", &"x".repeat(37), "1.00")),
            ("compte_id contains U+0000", depot("e", "a\0", "1.00")),
            ("montant is 0.00", depot("e", "a", "0.00")),
            ("montant is -1.00", depot("e", "a", "-1.00")),
            ("montant has 3 decimal", depot("e", "a", "1.001")),
            ("montant is 1", depot("e", "a", "10000000000000000.00")),
            ("solde_initial is -0.01", ouvert("e", "a", "-0.01")),
            (
                "compte_destination_id is empty",
                virement("e", "a", "", "1.00"),
            ),
            (
                "virement_emis_id is empty",
                recu("e", "a", "b", "1.00", Some("")),
            ),
        ];
        for (message, event) in cases {
            let poison = validate(&event).unwrap_err();
            assert_eq!(poison.kind, "invalid_field");
            assert!(poison.message.starts_with(message), "{}", poison.message);
        }
        let Event::DepotEffectue(good) = depot("e", "a", "1.00") else {
            unreachable!()
        };
        let mut devise = good.clone();
        devise.devise = "EURO".into();
        assert_eq!(kind(&Event::DepotEffectue(devise)), Some("invalid_field"));
        let mut old = good.clone();
        old.timestamp = DateTime::<Utc>::MIN_UTC;
        assert_eq!(kind(&Event::DepotEffectue(old)), Some("invalid_field"));
        // 36 characters may be more than 36 bytes.
        let mut accents = good;
        accents.compte_id = "é".repeat(36);
        assert_eq!(kind(&Event::DepotEffectue(accents)), None);
    }
}
