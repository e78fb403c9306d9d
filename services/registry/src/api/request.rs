//! A schema as clients send it, to register, look up or compare, and as it is after the registry
//! has read it.

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::wire::{flag, subject};
use crate::avro::Schema;
use crate::canonical::canonical;
use crate::error::{Error, Result};
use crate::reference::Reference;
use crate::store::{Registration, Store, Wanted};

/// A schema. Further members of the contract (`metadata`, `ruleSet`) are ignored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchemaRequest {
    /// The schema's text.
    #[serde(default)]
    #[schema(
        example = "{\"type\":\"record\",\"name\":\"Depot\",\"fields\":[{\"name\":\"montant\",\"type\":\"long\"}]}"
    )]
    pub schema: Option<String>,
    /// `AVRO`, which is also what it is without.
    #[serde(default)]
    #[schema(example = "AVRO")]
    pub schema_type: Option<String>,
    /// Schemas of other subjects that define names which this one uses.
    #[serde(default)]
    pub references: Option<Vec<ReferenceRequest>>,
    /// In IMPORT mode: the id that the schema has elsewhere.
    #[serde(default)]
    pub id: Option<i32>,
    /// The version that it must become; in IMPORT mode any.
    #[serde(default)]
    pub version: Option<i32>,
}

/// A reference, which must be complete.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ReferenceRequest {
    /// The full name of the type.
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub subject: Option<String>,
    /// A number, or -1 for the latest.
    #[serde(default)]
    pub version: Option<i32>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct NormalizeParameter {
    /// Put the schema into its normal form first, as the subject's configuration may say, too.
    #[serde(deserialize_with = "flag")]
    pub normalize: bool,
}

/// A schema that was read.
#[derive(Debug)]
pub struct Candidate {
    pub schema: Schema,
    /// Canonical.
    pub text: String,
    pub references: Vec<Reference>,
    pub id: Option<i32>,
    pub version: Option<i32>,
}

impl Candidate {
    pub fn under<'a>(&'a self, subject: &'a str) -> Registration<'a> {
        Registration {
            subject,
            text: &self.text,
            references: &self.references,
            id: self.id,
            version: self.version,
        }
    }
}

impl SchemaRequest {
    /// Reads it, with what it refers to, for a subject.
    ///
    /// # Errors
    /// 42201 with the reason when it is not Avro, or not valid, or refers to what is not there.
    pub async fn read(self, store: &Store, subject: &str, normalize: bool) -> Result<Candidate> {
        let kind = self.schema_type.as_deref().unwrap_or("AVRO");
        if !kind.eq_ignore_ascii_case("AVRO") {
            return Err(Error::InvalidSchema(format!(
                "Invalid schema type {kind}: this registry stores Avro schemas only."
            )));
        }
        let text = self.schema.unwrap_or_default();
        if text.trim().is_empty() {
            return Err(Error::InvalidSchema("Empty schema".into()));
        }
        let mut references = Vec::new();
        for reference in self.references.unwrap_or_default() {
            references.push(reference.resolve(store).await?);
        }
        let texts = store.texts(&references).await?;
        let mut schema = Schema::parse_with(&text, &texts)
            .map_err(|e| Error::InvalidSchema(format!("Invalid Avro schema: {e}")))?;
        if normalize || store.settings(Some(subject)).await?.normalize {
            schema.normalize();
            references.sort();
            references.dedup();
        }
        Ok(Candidate {
            text: canonical(&schema),
            schema,
            references,
            // Confluent's clients write -1 and 0 for none.
            id: self.id.filter(|id| *id >= 0),
            version: self.version.filter(|version| *version > 0),
        })
    }
}

impl ReferenceRequest {
    /// With its subject's plain name and a version that stays.
    async fn resolve(self, store: &Store) -> Result<Reference> {
        let Self {
            name: Some(name),
            subject: Some(written),
            version: Some(version),
        } = self
        else {
            let reason = "Invalid reference: it needs a name, a subject and a version".into();
            return Err(Error::InvalidSchema(reason));
        };
        if name.chars().any(char::is_control) {
            let reason = "Invalid reference: its name has control characters".into();
            return Err(Error::InvalidSchema(reason));
        }
        let subject = subject(written)?;
        let version = match version {
            -1 => {
                let latest = store.version(&subject, Wanted::Latest, true).await?;
                latest.map_or(-1, |latest| latest.version)
            }
            number => number,
        };
        Ok(Reference {
            name,
            subject,
            version,
        })
    }
}
