//! The sink's SQL, in the order of a batch's transaction: [`load`] reads what the fold needs under
//! locks, [`flux`] moves the stored offsets, [`write`] stores the outcome. The statements that
//! answer the API stand in [`crate::repository`].

pub mod copy;
pub mod flux;
pub mod load;
pub mod write;

/// Name and text of each migration, in order.
pub const MIGRATIONS: &[(&str, &str)] = &[
    (
        "create_comptes",
        include_str!("../../migrations/001_create_comptes.sql"),
    ),
    (
        "create_flux",
        include_str!("../../migrations/002_create_flux.sql"),
    ),
    (
        "check_comptes_by_statement",
        include_str!("../../migrations/003_check_comptes_by_statement.sql"),
    ),
];

/// Hundredths of a unit: how balances travel between PostgreSQL and the fold. A `bigint` is
/// decoded several times faster than a `numeric`, and 18 digits fit.
fn cents(amount: rust_decimal::Decimal) -> i64 {
    let mut amount = amount;
    amount.rescale(2);
    i64::try_from(amount.mantissa()).expect("an amount has at most 18 digits")
}
