//! An account's state, and the rules by which it accepts or refuses an operation.

use std::fmt;

use rust_decimal::Decimal;
use schemas::{EventType, StatutVirement};
use serde::Serialize;

use super::operation::{Effect, Operation};

/// The largest balance that `DECIMAL(18,2)` holds.
pub const SOLDE_MAX: Decimal = Decimal::from_parts(2_808_348_671, 232_830_643, 0, false, 2);

/// Whether an account may move money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Statut {
    Actif,
    Ferme,
    Bloque,
}

impl Statut {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Actif => "ACTIF",
            Self::Ferme => "FERME",
            Self::Bloque => "BLOQUE",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Actif, Self::Ferme, Self::Bloque]
            .into_iter()
            .find(|statut| statut.as_str() == text)
    }
}

/// What a ledger row records. There is one type per event type, so it also names the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TypeTransaction {
    Ouverture,
    Cloture,
    Depot,
    Retrait,
    VirementSortant,
    VirementEntrant,
    PaiementPrime,
}

impl TypeTransaction {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ouverture => "OUVERTURE",
            Self::Cloture => "CLOTURE",
            Self::Depot => "DEPOT",
            Self::Retrait => "RETRAIT",
            Self::VirementSortant => "VIREMENT_SORTANT",
            Self::VirementEntrant => "VIREMENT_ENTRANT",
            Self::PaiementPrime => "PAIEMENT_PRIME",
        }
    }

    pub const fn of(event_type: EventType) -> Self {
        match event_type {
            EventType::CompteOuvert => Self::Ouverture,
            EventType::CompteFerme => Self::Cloture,
            EventType::DepotEffectue => Self::Depot,
            EventType::RetraitEffectue => Self::Retrait,
            EventType::VirementEmis => Self::VirementSortant,
            EventType::VirementRecu => Self::VirementEntrant,
            EventType::PaiementPrimeEffectue => Self::PaiementPrime,
        }
    }

    /// +1 when an accepted row of this type adds to the balances, -1 when it takes from them.
    pub const fn sign(self) -> i32 {
        match self {
            Self::Ouverture | Self::Depot | Self::VirementEntrant => 1,
            Self::Retrait | Self::VirementSortant | Self::PaiementPrime => -1,
            Self::Cloture => 0,
        }
    }
}

/// A currency code of three characters (ISO 4217).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Devise([u8; 3]);

impl Devise {
    pub fn parse(text: &str) -> Option<Self> {
        let code: [u8; 3] = text.as_bytes().try_into().ok()?;
        code.iter()
            .all(u8::is_ascii_uppercase)
            .then_some(Self(code))
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a currency code is ASCII")
    }
}

impl fmt::Debug for Devise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an operation was refused. A refusal is a ledger row with its reason, not an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Motif {
    CompteInconnu,
    CompteExisteDeja,
    CompteFerme,
    CompteBloque,
    SoldeInsuffisant,
    SoldeNonNul,
    SoldeHorsLimites,
    DeviseDifferente,
    VirementRejete,
}

impl Motif {
    /// As stored in `transactions.motif_rejet`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CompteInconnu => "compte inconnu",
            Self::CompteExisteDeja => "compte existe déjà",
            Self::CompteFerme => "compte fermé",
            Self::CompteBloque => "compte bloqué",
            Self::SoldeInsuffisant => "solde insuffisant",
            Self::SoldeNonNul => "solde non nul",
            Self::SoldeHorsLimites => "solde hors limites",
            Self::DeviseDifferente => "devise différente de celle du compte",
            Self::VirementRejete => "virement rejeté à l'émission",
        }
    }
}

/// What the fold must know of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Etat {
    pub solde: Decimal,
    pub statut: Statut,
    pub devise: Devise,
    /// The number of the account's last accepted ledger row; the first is 1.
    pub rang: i64,
}

impl Etat {
    /// The state of an account that has just been opened by its first row.
    pub const fn ouvert(solde: Decimal, devise: Devise) -> Self {
        Self {
            solde,
            statut: Statut::Actif,
            devise,
            rang: 1,
        }
    }

    /// The state after an operation on an existing account, or why it is refused.
    pub fn appliquer(&self, operation: &Operation<'_>) -> Result<Self, Motif> {
        if matches!(operation.effect, Effect::Open { .. }) {
            return Err(Motif::CompteExisteDeja);
        }
        match self.statut {
            Statut::Actif => {}
            Statut::Ferme => return Err(Motif::CompteFerme),
            Statut::Bloque => return Err(Motif::CompteBloque),
        }
        if operation.devise.is_some_and(|devise| devise != self.devise) {
            return Err(Motif::DeviseDifferente);
        }
        let mut next = Self {
            rang: self.rang + 1,
            ..*self
        };
        match operation.effect {
            Effect::Open { .. } => unreachable!("refused above"),
            Effect::Close if !self.solde.is_zero() => return Err(Motif::SoldeNonNul),
            Effect::Close => next.statut = Statut::Ferme,
            Effect::Credit | Effect::Receive(_) => {
                next.solde += operation.montant;
                if next.solde > SOLDE_MAX {
                    return Err(Motif::SoldeHorsLimites);
                }
            }
            Effect::Transfer(emis) if emis.statut == StatutVirement::Rejete => {
                return Err(Motif::VirementRejete);
            }
            Effect::Debit | Effect::Transfer(_) => {
                if self.solde < operation.montant && !chassis::mutant!("allow-overdraft") {
                    return Err(Motif::SoldeInsuffisant);
                }
                next.solde -= operation.montant;
                if chassis::mutant!("wrong-balance-on-withdrawal") {
                    next.solde += rust_decimal::Decimal::new(1, 2);
                }
            }
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_balance_is_what_the_column_holds() {
        assert_eq!(SOLDE_MAX.to_string(), "9999999999999999.99");
    }

    #[test]
    fn a_currency_is_three_capital_letters() {
        assert_eq!(Devise::parse("EUR").unwrap().as_str(), "EUR");
        for bad in ["", "EU", "EURO", "eur", "é1", "E\0R"] {
            assert_eq!(Devise::parse(bad), None, "{bad:?}");
        }
    }
}
