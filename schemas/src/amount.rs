//! Amounts of money: two decimals, 18 digits at most, as Avro's `decimal(18,2)` says.
//!
//! An amount that comes from outside is checked where it enters: [`crate::avro`] refuses it in a
//! body, [`json`] in JSON, and code that computes one calls [`checked`] or [`crate::Event::check`].
//! Encoding itself cannot fail. Should an unchecked amount get that far, then more than two
//! decimals are rounded half away from zero, as a bank rounds, and more than 18 digits are
//! written in full: every reader refuses those, so that a wrong sum is never booked.

use rust_decimal::Decimal;

/// Digits behind the decimal point.
pub const SCALE: u32 = 2;
/// The largest amount is 9 999 999 999 999 999.99: 18 digits.
pub const MAX_CENTS: i128 = 999_999_999_999_999_999;

/// Why a number is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    #[error("{field}: {value} has more than 2 decimals")]
    TooPrecise { field: &'static str, value: Decimal },
    #[error("{field}: {value} has more than 18 digits")]
    TooLarge { field: &'static str, value: Decimal },
}

/// The same amount, written with exactly two decimals.
///
/// # Errors
/// When it has more decimals than two, or more digits than 18.
pub fn checked(value: Decimal) -> Result<Decimal, AmountError> {
    check_field("amount", value)
}

/// As [`checked`], for the error to name the field.
pub(crate) fn check_field(field: &'static str, value: Decimal) -> Result<Decimal, AmountError> {
    if value.scale() > SCALE && value.normalize().scale() > SCALE {
        return Err(AmountError::TooPrecise { field, value });
    }
    from_cents(cents(value)).ok_or(AmountError::TooLarge { field, value })
}

/// The amount in cents, rounded half away from zero.
pub fn cents(value: Decimal) -> i128 {
    // A mantissa has 96 bits, so neither product can overflow.
    let mantissa = value.mantissa();
    match value.scale() {
        scale @ 0..=SCALE => mantissa * 10_i128.pow(SCALE - scale),
        scale => {
            let unit = 10_i128.pow(scale - SCALE);
            (mantissa + mantissa.signum() * (unit / 2)) / unit
        }
    }
}

/// An amount of so many cents; `None` beyond 18 digits.
pub fn from_cents(cents: i128) -> Option<Decimal> {
    let fits = cents.unsigned_abs() <= MAX_CENTS.unsigned_abs();
    fits.then(|| Decimal::from_i128_with_scale(cents, SCALE))
}

/// Amounts in JSON: strings such as `"1234.56"`, always with two decimals.
pub(crate) mod json {
    use rust_decimal::Decimal;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(value: &Decimal, out: S) -> Result<S::Ok, S::Error> {
        Serialize::serialize(&super::checked(*value).unwrap_or(*value), out)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Decimal, D::Error> {
        let value = <Decimal as Deserialize>::deserialize(input)?;
        super::checked(value).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().expect("a decimal")
    }

    #[test]
    fn an_amount_gets_exactly_two_decimals() {
        for (given, want) in [("12", "12.00"), ("-0.5", "-0.50"), ("7.8900", "7.89")] {
            assert_eq!(checked(decimal(given)).unwrap().to_string(), want);
        }
        let largest = decimal("9999999999999999.99");
        assert_eq!(checked(largest), Ok(largest));
        assert_eq!(checked(-largest), Ok(-largest));
    }

    #[test]
    fn what_the_schema_cannot_hold_is_refused() {
        let error = checked(decimal("0.001")).unwrap_err();
        assert!(matches!(error, AmountError::TooPrecise { .. }), "{error}");
        for text in ["10000000000000000", "79228162514264337593543950335"] {
            let error = checked(decimal(text)).unwrap_err();
            assert!(matches!(error, AmountError::TooLarge { .. }), "{error}");
        }
    }

    #[test]
    fn cents_are_rounded_half_away_from_zero() {
        for (text, want) in [
            ("1.005", 101),
            ("-1.005", -101),
            ("1.0049", 100),
            ("0.0000000000000000000000000001", 0),
            ("7.9228162514264337593543950335", 792),
        ] {
            assert_eq!(cents(decimal(text)), want, "{text}");
        }
        assert_eq!(cents(Decimal::MAX), Decimal::MAX.mantissa() * 100);
    }
}
