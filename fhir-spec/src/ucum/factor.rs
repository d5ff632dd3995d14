//! A factor between units: a fraction of decimals times a power of ten, so that 5/9 and 10^-18 stay exact.

use rust_decimal::Decimal;

use crate::decimal::shift;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Factor {
    over: Decimal,
    under: Decimal,
    exponent: i32,
}

impl Factor {
    pub const ONE: Self = Self {
        over: Decimal::ONE,
        under: Decimal::ONE,
        exponent: 0,
    };

    pub fn power_of_ten(exponent: i32) -> Self {
        Self {
            exponent,
            ..Self::ONE
        }
    }

    /// Nothing for zero, which is no factor.
    pub fn of(over: Decimal) -> Option<Self> {
        Self { over, ..Self::ONE }.tidy()
    }

    pub fn checked_mul(&self, other: &Self) -> Option<Self> {
        Self {
            over: self.over.checked_mul(other.over)?,
            under: self.under.checked_mul(other.under)?,
            exponent: self.exponent.checked_add(other.exponent)?,
        }
        .tidy()
    }

    pub fn checked_div(&self, other: &Self) -> Option<Self> {
        self.checked_mul(&Self {
            over: other.under,
            under: other.over,
            exponent: other.exponent.checked_neg()?,
        })
    }

    pub fn checked_pow(&self, power: i8) -> Option<Self> {
        let mut result = Self::ONE;
        for _ in 0..power.unsigned_abs() {
            result = result.checked_mul(self)?;
        }
        if power < 0 {
            Self::ONE.checked_div(&result)
        } else {
            Some(result)
        }
    }

    pub fn apply(&self, value: Decimal) -> Option<Decimal> {
        let scaled = value.checked_mul(self.over)?.checked_div(self.under)?;
        shift(scaled, self.exponent)
    }

    /// Whether this unit is smaller than that one.
    pub fn is_below(&self, other: &Self) -> Option<bool> {
        let ratio = self.checked_div(other)?;
        let quotient = ratio.over.checked_div(ratio.under)?;
        Some(
            shift(quotient, ratio.exponent)
                .map_or(ratio.exponent < 0, |ratio| ratio < Decimal::ONE),
        )
    }

    /// Whole numbers without trailing zeroes, the powers of ten in the exponent: room for many multiplications.
    fn tidy(self) -> Option<Self> {
        let (over, over_exponent) = without_powers_of_ten(self.over)?;
        let (under, under_exponent) = without_powers_of_ten(self.under)?;
        let exponent = self
            .exponent
            .checked_add(over_exponent)?
            .checked_sub(under_exponent)?;
        if over == under {
            return Some(Self::power_of_ten(exponent));
        }
        Some(Self {
            over,
            under,
            exponent,
        })
    }
}

fn without_powers_of_ten(value: Decimal) -> Option<(Decimal, i32)> {
    if value.is_zero() {
        return None;
    }
    let value = value.normalize();
    let mut digits = value.mantissa();
    let mut exponent = -i32::try_from(value.scale()).ok()?;
    while digits % 10 == 0 {
        digits /= 10;
        exponent += 1;
    }
    Some((Decimal::try_from_i128_with_scale(digits, 0).ok()?, exponent))
}
