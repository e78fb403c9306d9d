//! How one schema uses types of another: by the subject and version that define them.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A schema of another subject that defines a name.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct Reference {
    /// The full name of the type, such as `bancaire.Montant`.
    pub name: String,
    pub subject: String,
    pub version: i32,
}

/// What makes two schemas the same: their canonical text and what its names stand for.
pub fn fingerprint(text: &str, references: &[Reference]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(text);
    for Reference {
        name,
        subject,
        version,
    } in references
    {
        // Neither a name nor a subject has control characters.
        hash.update(format!("\n{name}\n{subject}\n{version}"));
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_with_other_references_is_another_schema() {
        let reference = |version| Reference {
            name: "m.Money".into(),
            subject: "money".into(),
            version,
        };
        let alone = fingerprint("\"m.Money\"", &[]);
        let one = fingerprint("\"m.Money\"", &[reference(1)]);
        let two = fingerprint("\"m.Money\"", &[reference(2)]);
        assert!(alone != one && one != two);
        assert_eq!(one, fingerprint("\"m.Money\"", &[reference(1)]));
    }
}
