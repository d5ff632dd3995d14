//! Decimals as FHIR wants them: exact, with the scale they were written in.
//! <https://hl7.org/fhir/R4/datatypes.html#decimal>
//!
//! Documents keep the text of a number; this is where the text becomes a value to reckon with. 28 significant digits
//! are exact. What lies outside (`1e400`) has no value here, and the caller says so: nothing is silently infinite.

pub use rust_decimal::Decimal;

/// Digits after the point that a value can have.
pub const SCALE_MAX: u32 = 28;

/// An exponent beyond this cannot be in range, however many zeroes the mantissa has.
const EXPONENT_MAX: i32 = 1_000;

/// The value of `-12.50` or `1.0e-7`; nothing when the text is no number or its value is out of range.
pub fn parse(text: &str) -> Option<Decimal> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        None => (text, 0),
        Some((mantissa, exponent)) => (mantissa, exponent_of(exponent)?),
    };
    let digits = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = match digits.split_once('.') {
        None => (digits, None),
        Some((whole, fraction)) => (whole, Some(fraction)),
    };
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !fraction.is_none_or(is_digits) {
        return None;
    }
    shift(mantissa.parse().ok()?, exponent)
}

fn exponent_of(text: &str) -> Option<i32> {
    let exponent: i32 = text.parse().ok()?;
    (exponent.abs() <= EXPONENT_MAX).then_some(exponent)
}

/// `value` times ten to the power of `exponent`; nothing when that is out of range or would vanish into zero.
pub fn shift(value: Decimal, exponent: i32) -> Option<Decimal> {
    if value.is_zero() || exponent == 0 {
        return Some(value);
    }
    let scale = i64::from(value.scale()) - i64::from(exponent);
    if let Ok(scale) = u32::try_from(scale) {
        if scale <= SCALE_MAX {
            return with_scale(value, scale);
        }
        let value = value.normalize();
        let scale = i64::from(value.scale()) - i64::from(exponent);
        let surplus = scale - i64::from(SCALE_MAX);
        if surplus <= 0 {
            return with_scale(value, u32::try_from(scale).ok()?);
        }
        let rounded = with_scale(value, SCALE_MAX)?.checked_div(power_of_ten(surplus)?)?;
        return (!rounded.is_zero()).then_some(rounded);
    }
    with_scale(value, 0)?.checked_mul(power_of_ten(-scale)?)
}

/// The same digits with the point elsewhere.
fn with_scale(mut value: Decimal, scale: u32) -> Option<Decimal> {
    value.set_scale(scale).ok()?;
    Some(value)
}

fn power_of_ten(exponent: i64) -> Option<Decimal> {
    let exponent = u32::try_from(exponent).ok()?;
    Decimal::try_from_i128_with_scale(10_i128.checked_pow(exponent)?, 0).ok()
}

/// Digits after the point, trailing zeroes not counted.
pub fn fraction_digits(value: Decimal) -> u32 {
    value.normalize().scale()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_is_kept() {
        for text in ["1.0", "-0.50", "100", "0.0000000001"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn exponents() {
        assert_eq!(parse("1.50e3").unwrap(), Decimal::from(1500));
        assert_eq!(parse("15e-1").unwrap().to_string(), "1.5");
        assert_eq!(parse("1E+2").unwrap(), Decimal::from(100));
        assert_eq!(
            parse("100000e-30").unwrap(),
            parse("0.0000000000000000000000001").unwrap()
        );
        assert_eq!(parse("0e400").unwrap(), Decimal::ZERO);
    }

    #[test]
    fn out_of_range_is_no_value() {
        for text in [
            "1e400",
            "1e-400",
            "1e29",
            "99999999999999999999999999999",
            "1e999999999999",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_number() {
        for text in [
            "", "-", "1.", ".5", "1_000", "+1", "1e", "e1", " 1", "1.2.3", "--1",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
