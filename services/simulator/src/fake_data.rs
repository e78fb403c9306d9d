//! Fictive French data from a seed: people, accounts, IBANs with true check digits, amounts.
//!
//! The same seed gives the same data on every machine. The [`generator`](crate::generator) puts
//! it into events.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal};
use rust_decimal::Decimal;
use uuid::Uuid;

const PRENOMS: [&str; 40] = [
    "Adèle",
    "Alice",
    "Amine",
    "Antoine",
    "Arthur",
    "Camille",
    "Chloé",
    "Claire",
    "Clément",
    "Élise",
    "Émile",
    "Emma",
    "Fatima",
    "François",
    "Françoise",
    "Gabriel",
    "Hugo",
    "Inès",
    "Jeanne",
    "Jérôme",
    "Jules",
    "Julie",
    "Karim",
    "Léa",
    "Léo",
    "Louis",
    "Louise",
    "Lucas",
    "Maëlle",
    "Manon",
    "Marie",
    "Mathieu",
    "Nathan",
    "Noémie",
    "Paul",
    "Raphaël",
    "Sarah",
    "Thomas",
    "Yanis",
    "Zoé",
];

const NOMS: [&str; 40] = [
    "Martin",
    "Bernard",
    "Thomas",
    "Petit",
    "Robert",
    "Richard",
    "Durand",
    "Dubois",
    "Moreau",
    "Laurent",
    "Simon",
    "Michel",
    "Lefèvre",
    "Leroy",
    "Roux",
    "David",
    "Bertrand",
    "Morel",
    "Fournier",
    "Girard",
    "Bonnet",
    "Dupont",
    "Lambert",
    "Fontaine",
    "Rousseau",
    "Vincent",
    "Muller",
    "Faure",
    "André",
    "Mercier",
    "Blanc",
    "Guérin",
    "Boyer",
    "Garnier",
    "Chevalier",
    "François",
    "Legrand",
    "Gauthier",
    "Benali",
    "Nguyen",
];

const MOTIFS_VIREMENT: [&str; 10] = [
    "Loyer",
    "Facture d'électricité",
    "Remboursement",
    "Cadeau d'anniversaire",
    "Épargne mensuelle",
    "Facture de téléphone",
    "Pension",
    "Achat d'occasion",
    "Cotisation",
    "Partage de frais",
];

const MOTIFS_FERMETURE: [&str; 4] = [
    "Demande du client",
    "Changement de banque",
    "Regroupement de comptes",
    "Succession",
];

/// A letter or digit of a reference; I, L, O and U are left out because people misread them.
const REFERENCE_ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Draws fictive data; every draw advances it.
pub struct FakeData {
    rng: ChaCha8Rng,
}

impl FakeData {
    pub fn new(seed: u64) -> Self {
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// A client's id: a random (version 4) UUID.
    pub fn client_id(&mut self) -> Uuid {
        self.uuid()
    }

    /// An account's id: a random (version 4) UUID.
    pub fn compte_id(&mut self) -> Uuid {
        self.uuid()
    }

    pub fn prenom(&mut self) -> &'static str {
        self.pick(&PRENOMS)
    }

    pub fn nom(&mut self) -> &'static str {
        self.pick(&NOMS)
    }

    pub fn motif_virement(&mut self) -> &'static str {
        self.pick(&MOTIFS_VIREMENT)
    }

    pub fn motif_fermeture(&mut self) -> &'static str {
        self.pick(&MOTIFS_FERMETURE)
    }

    /// An amount between `min` and `max`, both included, with two decimals.
    ///
    /// Amounts of money are log-normal: many small ones, few large ones. The median is the
    /// geometric mean of the bounds.
    pub fn montant(&mut self, min: Decimal, max: Decimal) -> Decimal {
        let cents = |amount: Decimal| i64::try_from(schemas::amount::cents(amount));
        let (min, max) = (cents(min).unwrap_or(0), cents(max).unwrap_or(i64::MAX));
        Decimal::new(self.montant_cents(min, max), schemas::amount::SCALE)
    }

    /// The same in cents, which is what the hot path counts in.
    pub fn montant_cents(&mut self, min: i64, max: i64) -> i64 {
        if min >= max {
            return min;
        }
        let (low, high) = ((min.max(1) as f64).ln(), (max.max(1) as f64).ln());
        // Two standard deviations on each side lie within the bounds: 19 of 20 draws are used.
        let sigma = ((high - low) / 4.0).max(f64::EPSILON);
        let law = LogNormal::new((low + high) / 2.0, sigma).expect("sigma is finite and positive");
        for _ in 0..8 {
            let cents = law.sample(&mut self.rng).round() as i64;
            if (min..=max).contains(&cents) {
                return cents;
            }
        }
        self.rng.random_range(min..=max)
    }

    /// A French IBAN: `FR`, two check digits, then bank (5), branch (5), account (11) and the
    /// RIB key (2). Both keys are right; bank codes from 99001 keep clear of the well-known banks.
    pub fn iban(&mut self) -> String {
        let banque: u64 = self.rng.random_range(99_001..=99_999);
        let guichet: u64 = self.rng.random_range(1..=99_999);
        let compte: u64 = self.rng.random_range(1..=99_999_999_999);
        let cle_rib = 97 - (89 * banque + 15 * guichet + 3 * compte) % 97;
        let bban = format!("{banque:05}{guichet:05}{compte:011}{cle_rib:02}");
        // ISO 7064: the country as digits (F = 15, R = 27) and two zeros behind the BBAN.
        let check = 98 - modulo_97(&format!("{bban}152700"));
        format!("FR{check:02}{bban}")
    }

    /// A reference such as `VIR-7F3K9Q2M4C`.
    pub fn reference(&mut self, prefix: &str) -> String {
        let mut bits = self.rng.next_u64();
        let mut reference = String::with_capacity(prefix.len() + 11);
        reference.push_str(prefix);
        reference.push('-');
        for _ in 0..10 {
            reference.push(char::from(REFERENCE_ALPHABET[(bits & 31) as usize]));
            bits >>= 5;
        }
        reference
    }

    /// An insurance policy's number.
    pub fn police_id(&mut self) -> String {
        let branche = self.pick(&["AUTO", "HAB", "VIE", "SANTE"]);
        format!("POL-{branche}-{:08}", self.rng.random_range(0..100_000_000))
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.rng.random_range(0..from.len())]
    }

    /// An index below `len`.
    pub fn index(&mut self, len: usize) -> usize {
        self.rng.random_range(0..len)
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        // No draw for what never happens, so that a fault that is off changes nothing else.
        probability > 0.0 && self.rng.random_bool(probability.min(1.0))
    }

    /// A number in `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        self.rng.random()
    }

    fn uuid(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        self.rng.fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

/// A long decimal number modulo 97, digit by digit.
fn modulo_97(digits: &str) -> u64 {
    digits
        .bytes()
        .fold(0, |rest, digit| (rest * 10 + u64::from(digit - b'0')) % 97)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn ibans() -> Vec<String> {
        let mut fake = FakeData::new(7);
        (0..1_000).map(|_| fake.iban()).collect()
    }

    /// Plan: TestGenerateIBAN_ValidFormat
    #[test]
    fn generate_iban_valid_format() {
        for iban in ibans() {
            assert_eq!(iban.len(), 27, "{iban}");
            assert!(iban.starts_with("FR"), "{iban}");
            assert!(iban[2..].bytes().all(|b| b.is_ascii_digit()), "{iban}");
        }
    }

    /// The ISO check moves the first four characters behind and counts letters from 10; the RIB
    /// check is the national one inside.
    ///
    /// Plan: TestGenerateIBAN_ValidChecksum
    #[test]
    fn generate_iban_valid_checksum() {
        // The example that banks print on their forms, to check the check itself.
        let known = "FR7630006000011234567890189".to_owned();
        for iban in ibans().into_iter().chain([known]) {
            let moved = format!("{}1527{}", &iban[4..], &iban[2..4]);
            assert_eq!(modulo_97(&moved), 1, "{iban}");
            let part = |range: std::ops::Range<usize>| iban[range].parse::<u64>().unwrap();
            let (banque, guichet, compte) = (part(4..9), part(9..14), part(14..25));
            let rest = (89 * banque + 15 * guichet + 3 * compte + part(25..27)) % 97;
            assert_eq!(rest, 0, "{iban}");
        }
    }

    /// Plan: TestGenerateMontant_InRange
    #[test]
    fn generate_montant_in_range() {
        let mut fake = FakeData::new(7);
        let (min, max) = (Decimal::new(100, 2), Decimal::new(1_000_000, 2));
        let mut amounts: Vec<Decimal> = (0..10_000).map(|_| fake.montant(min, max)).collect();
        for amount in &amounts {
            assert!((min..=max).contains(amount), "{amount}");
            assert_eq!(amount.scale(), 2, "{amount}");
        }
        amounts.sort_unstable();
        // The geometric mean of 1 and 10,000 is 100: far below the middle, as money is.
        let median = amounts[amounts.len() / 2];
        assert!(
            (Decimal::from(80)..Decimal::from(125)).contains(&median),
            "{median}"
        );
        assert_eq!(fake.montant(min, min), min, "an empty range is its bound");
        let zero = fake.montant(Decimal::ZERO, Decimal::new(1, 2));
        assert!(
            (Decimal::ZERO..=Decimal::new(1, 2)).contains(&zero),
            "{zero}"
        );
    }

    /// Plan: TestGenerateClientID_UniqueFormat
    #[test]
    fn generate_client_id_unique_format() {
        let mut fake = FakeData::new(7);
        let ids: HashSet<Uuid> = (0..10_000).map(|_| fake.client_id()).collect();
        assert_eq!(ids.len(), 10_000);
        for id in ids {
            assert_eq!(id.get_version_num(), 4);
            assert_eq!(id.to_string().len(), 36);
        }
    }

    /// Plan: TestDeterministicWithSameSeed
    #[test]
    fn deterministic_with_same_seed() {
        let draw = |seed| {
            let mut fake = FakeData::new(seed);
            (
                fake.client_id(),
                fake.compte_id(),
                (fake.prenom(), fake.nom()),
                fake.montant_cents(1, 1_000_000),
                fake.iban(),
                fake.reference("VIR"),
                fake.police_id(),
            )
        };
        assert_eq!(draw(42), draw(42));
        assert_ne!(draw(42), draw(43));
    }

    #[test]
    fn references_are_short_and_plain() {
        let reference = FakeData::new(7).reference("DEP");
        assert_eq!(reference.len(), 14);
        assert!(reference.starts_with("DEP-"), "{reference}");
        assert!(
            reference
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        );
    }
}
