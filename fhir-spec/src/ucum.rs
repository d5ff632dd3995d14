//! Units of measure: reads UCUM expressions and converts between those of one dimension.
//! <https://ucum.org/ucum>
//!
//! `mg/dL`, `10*3/uL`, `mm[Hg]`, `{beats}/min`: an expression becomes a factor and the base units it stands in
//! (`parse`), and every atom of the table is itself defined by such an expression, down to metre, second, gram,
//! radian, kelvin, coulomb, candela and mole. Factors are fractions of exact decimals, so that pounds and degrees
//! Fahrenheit convert without a trace.
//!
//! Three departures, all so that nothing wrong is ever called equal:
//! * the mole is a base unit (UCUM makes it a bare number, which would let `1 mol` equal a count);
//! * arbitrary units (`[iU]`, `[CFU]`) are each a dimension of their own, as UCUM says they must be;
//! * units on a logarithmic scale (`[pH]`, `B`) compare only with themselves.

mod atom;
mod dimension;
mod factor;
mod parse;

use rust_decimal::Decimal;

pub use dimension::Dimension;
pub use factor::Factor;
pub use parse::parse;

/// What an expression means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    pub factor: Factor,
    pub dimension: Dimension,
    /// Degrees of temperature, which begin elsewhere than at zero, and logarithmic scales.
    pub scale: Scale,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// A multiple of base units.
    Ratio,
    /// So many steps above absolute zero is its zero.
    Offset(Offset),
    /// No arithmetic, no conversion.
    Logarithmic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offset {
    Celsius,
    Fahrenheit,
    Reaumur,
}

impl Offset {
    fn zero_at(self) -> Decimal {
        match self {
            Self::Celsius => Decimal::new(27_315, 2),
            Self::Fahrenheit => Decimal::new(45_967, 2),
            Self::Reaumur => Decimal::new(21_852, 2),
        }
    }
}

impl Unit {
    pub fn is_dimensionless(&self) -> bool {
        self.dimension.is_none() && self.scale == Scale::Ratio
    }

    pub fn is_comparable(&self, other: &Self) -> bool {
        let is_logarithmic = |unit: &Self| unit.scale == Scale::Logarithmic;
        self.dimension == other.dimension && is_logarithmic(self) == is_logarithmic(other)
    }

    /// `value` of this unit in another one; nothing when the dimensions differ or the number leaves the range.
    pub fn convert(&self, value: Decimal, to: &Self) -> Option<Decimal> {
        if !self.is_comparable(to) {
            return None;
        }
        let value = match self.scale {
            Scale::Offset(offset) => value.checked_add(offset.zero_at())?,
            _ => value,
        };
        let value = self.factor.checked_div(&to.factor)?.apply(value)?;
        match to.scale {
            Scale::Offset(offset) => value.checked_sub(offset.zero_at()),
            _ => Some(value),
        }
    }

    /// `value` in base units.
    pub fn to_base(&self, value: Decimal) -> Option<Decimal> {
        self.convert(value, &self.base())
    }

    /// The unit of factor 1 of this dimension.
    pub fn base(&self) -> Self {
        let scale = match self.scale {
            Scale::Logarithmic => Scale::Logarithmic,
            _ => Scale::Ratio,
        };
        Self {
            factor: Factor::ONE,
            dimension: self.dimension.clone(),
            scale,
        }
    }
}

/// The value in base units and the name of those, such as `0.005` and `g.m-3`: the same for all ways to say the same.
/// Nothing for what is no UCUM, or a number out of range.
pub fn canonical(value: Decimal, unit: &str) -> Option<(Decimal, String)> {
    let unit = parse(unit)?;
    let value = unit.to_base(value)?.normalize();
    Some((value, unit.dimension.to_string()))
}

/// `value` of one unit in another.
pub fn convert(value: Decimal, from: &str, to: &str) -> Option<Decimal> {
    parse(from)?.convert(value, &parse(to)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn same(value: &str, from: &str, wanted: &str, to: &str) {
        assert_eq!(
            convert(decimal(value), from, to),
            Some(decimal(wanted)),
            "{value} {from} -> {to}"
        );
        assert_eq!(
            convert(decimal(wanted), to, from),
            Some(decimal(value)),
            "{wanted} {to} -> {from}"
        );
    }

    #[test]
    fn clinical_units_convert_exactly() {
        same("4", "mg", "0.004", "g");
        same("5", "mg/dL", "50", "mg/L");
        same("5.5", "mmol/L", "5500", "umol/L");
        same("1", "[lb_av]", "453.59237", "g");
        same("1", "[in_i]", "2.54", "cm");
        same("1", "[ft_i]", "12", "[in_i]");
        same("37", "Cel", "98.6", "[degF]");
        same("0", "Cel", "273.15", "K");
        same("7.5", "10*3/uL", "7.5", "10*9/L");
        same("90", "/min", "1.5", "/s");
        same("90", "{beats}/min", "1.5", "Hz");
        same("50", "%", "0.5", "1");
        same("1", "a", "12", "mo");
        same("1", "wk", "7", "d");
        same("1", "h", "3600", "s");
        same("90", "fL", "90", "um3");
        same("760", "mm[Hg]", "101.32472", "kPa");
        same("1", "U", "1", "umol/min");
        same("2", "meq/L", "2", "mmol/L");
        same("3", "[IU]/mL", "3000", "[iU]/L");
        same("1", "kg/m2", "0.1", "g/cm2");
        same("10", "kg.m/s2", "10", "N");
        same("1", "J", "1", "N.m");
        same("1", "cal", "4.184", "J");
    }

    #[test]
    fn what_does_not_compare() {
        for (from, to) in [
            ("mg", "mL"),
            ("[iU]", "[CFU]"),
            ("mol", "1"),
            ("[pH]", "mol/L"),
            ("cm", "cm2"),
            ("widgets", "1"),
            ("mg", ""),
        ] {
            assert_eq!(convert(Decimal::ONE, from, to), None, "{from} {to}");
        }
    }

    #[test]
    fn one_canonical_form() {
        assert_eq!(
            canonical(decimal("5"), "mg/dL"),
            Some((decimal("50"), "g.m-3".into()))
        );
        assert_eq!(
            canonical(decimal("98.60"), "[degF]"),
            Some((decimal("310.15"), "K".into()))
        );
        assert_eq!(
            canonical(decimal("50"), "%"),
            Some((decimal("0.5"), "1".into()))
        );
        assert_eq!(
            canonical(decimal("3"), "[IU]/mL"),
            Some((decimal("3000000"), "m-3.[iU]".into()))
        );
        assert_eq!(canonical(Decimal::MAX, "Ym"), None);
        assert_eq!(canonical(Decimal::ONE, "am3"), None);
    }

    #[test]
    fn every_atom_is_defined() {
        for atom in atom::ALL {
            assert!(parse(atom.code).is_some(), "{}", atom.code);
        }
    }
}
