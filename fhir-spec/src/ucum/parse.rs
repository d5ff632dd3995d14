//! The grammar of UCUM expressions. <https://ucum.org/ucum#section-Grammar-of-Units-and-Unit-Terms>

use std::collections::HashMap;
use std::sync::LazyLock;

use super::atom::{self, Atom, Definition};
use super::{Dimension, Factor, Scale, Unit};

/// No unit anybody means is longer.
const LENGTH_MAX: usize = 128;
/// How deep parentheses may nest.
const DEPTH_MAX: usize = 8;

static ATOMS: LazyLock<HashMap<&'static str, &'static Atom>> =
    LazyLock::new(|| atom::ALL.iter().map(|atom| (atom.code, atom)).collect());

/// The meaning of a case sensitive UCUM expression; nothing when it is none.
pub fn parse(text: &str) -> Option<Unit> {
    if text.is_empty()
        || text.len() > LENGTH_MAX
        || !text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || !byte.is_ascii())
    {
        return None;
    }
    let mut parser = Parser {
        rest: text,
        depth: 0,
    };
    let unit = parser.term()?;
    parser.rest.is_empty().then_some(unit)
}

struct Parser<'t> {
    rest: &'t str,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn take(&mut self, wanted: char) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Components joined by `.` and `/`, from left to right; one may begin with `/`.
    fn term(&mut self) -> Option<Unit> {
        let mut product = if self.take('/') {
            power(&self.component()?, -1)?
        } else {
            self.component()?
        };
        loop {
            if self.take('.') {
                product = times(&product, &self.component()?)?;
            } else if self.take('/') {
                product = times(&product, &power(&self.component()?, -1)?)?;
            } else {
                return Some(product);
            }
        }
    }

    fn component(&mut self) -> Option<Unit> {
        if self.take('(') {
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return None;
            }
            let unit = self.term()?;
            self.depth -= 1;
            return self.take(')').then_some(unit);
        }
        if self.rest.starts_with('{') {
            self.annotation()?;
            return Some(one());
        }
        let symbol = self.symbol();
        let unit = if symbol.bytes().all(|byte| byte.is_ascii_digit()) {
            number(symbol)?
        } else {
            annotatable(symbol)?
        };
        if self.rest.starts_with('{') {
            self.annotation()?;
        }
        Some(unit)
    }

    /// Up to the next operator; brackets may hold anything.
    fn symbol(&mut self) -> &'t str {
        let mut is_bracketed = false;
        let end = self
            .rest
            .find(|c| {
                match c {
                    '[' => is_bracketed = true,
                    ']' => is_bracketed = false,
                    _ => {}
                }
                !is_bracketed && matches!(c, '.' | '/' | '(' | ')' | '{' | '}')
            })
            .unwrap_or(self.rest.len());
        let (symbol, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        symbol
    }

    /// `{beats}` says something to people and nothing about the amount.
    fn annotation(&mut self) -> Option<()> {
        let (text, rest) = self.rest.strip_prefix('{')?.split_once('}')?;
        self.rest = rest;
        (!text.contains('{')).then_some(())
    }
}

fn one() -> Unit {
    Unit {
        factor: Factor::ONE,
        dimension: Dimension::default(),
        scale: Scale::Ratio,
    }
}

fn number(digits: &str) -> Option<Unit> {
    let factor = Factor::of(digits.parse().ok()?)?;
    Some(Unit { factor, ..one() })
}

/// A unit with its prefix and power, such as `cm3` or `s-1`.
fn annotatable(symbol: &str) -> Option<Unit> {
    // `10*3` and `10^3` end in a digit that is a power, the unit `m[H2O]` in one that is not: longest name first.
    if let Some(unit) = prefixed(symbol) {
        return Some(unit);
    }
    let digits_from = symbol.rfind(|c: char| !c.is_ascii_digit())? + 1;
    let signed_from = match symbol.get(..digits_from)? {
        name if name.ends_with(['+', '-']) => digits_from - 1,
        _ => digits_from,
    };
    let (name, exponent) = symbol.split_at_checked(signed_from)?;
    power(&prefixed(name)?, exponent.parse().ok()?)
}

fn prefixed(name: &str) -> Option<Unit> {
    if let Some(atom) = ATOMS.get(name) {
        return define(atom);
    }
    let (_, exponent, atom) = atom::PREFIXES.iter().find_map(|(prefix, exponent)| {
        let atom = ATOMS.get(name.strip_prefix(prefix)?)?;
        atom.is_metric.then_some((prefix, *exponent, atom))
    })?;
    let unit = define(atom)?;
    if matches!(unit.scale, Scale::Offset(_)) {
        return None;
    }
    Some(Unit {
        factor: unit.factor.checked_mul(&Factor::power_of_ten(exponent))?,
        ..unit
    })
}

/// Atoms are defined by others, in a table without circles.
fn define(atom: &'static Atom) -> Option<Unit> {
    match atom.definition {
        Definition::Base => Some(Unit {
            dimension: Dimension::base(atom.code),
            ..one()
        }),
        Definition::Logarithmic => Some(Unit {
            dimension: Dimension::base(atom.code),
            scale: Scale::Logarithmic,
            ..one()
        }),
        Definition::Offset(value, unit, offset) => Some(Unit {
            scale: Scale::Offset(offset),
            ..multiple(value, unit)?
        }),
        Definition::Multiple(value, unit) => multiple(value, unit),
    }
}

fn multiple(value: &str, unit: &str) -> Option<Unit> {
    let unit = parse(unit)?;
    let factor = if let Some((over, under)) = value.split_once('/') {
        Factor::of(over.parse().ok()?)?.checked_div(&Factor::of(under.parse().ok()?)?)?
    } else if let Some((digits, exponent)) = value.split_once('e') {
        Factor::of(digits.parse().ok()?)?
            .checked_mul(&Factor::power_of_ten(exponent.parse().ok()?))?
    } else {
        Factor::of(value.parse().ok()?)?
    };
    Some(Unit {
        factor: unit.factor.checked_mul(&factor)?,
        ..unit
    })
}

/// A scale that does not begin at zero cannot be part of a product, alone it may be raised to nothing but one.
pub(super) fn power(unit: &Unit, power: i8) -> Option<Unit> {
    if power == 1 {
        return Some(unit.clone());
    }
    if unit.scale != Scale::Ratio {
        return None;
    }
    Some(Unit {
        factor: unit.factor.checked_pow(power)?,
        dimension: unit.dimension.clone().checked_pow(power)?,
        scale: Scale::Ratio,
    })
}

pub(super) fn times(left: &Unit, right: &Unit) -> Option<Unit> {
    let scale = match (left.scale, right.scale) {
        (Scale::Ratio, Scale::Ratio) => Scale::Ratio,
        // `10.[degF]` or a degree per hour: steps of a scale, whose zero no longer matters.
        (Scale::Offset(_) | Scale::Ratio, Scale::Offset(_) | Scale::Ratio) => Scale::Ratio,
        _ => return None,
    };
    Some(Unit {
        factor: left.factor.checked_mul(&right.factor)?,
        dimension: left.dimension.clone().checked_mul(&right.dimension)?,
        scale,
    })
}

impl Unit {
    /// The unit of a product or a quotient; nothing for scales that allow none.
    pub fn checked_mul(&self, other: &Self) -> Option<Self> {
        times(self, other)
    }

    pub fn checked_div(&self, other: &Self) -> Option<Self> {
        times(self, &power(other, -1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn what_is_an_expression() {
        for text in [
            "m",
            "/min",
            "10*3/uL",
            "10^9/L",
            "mm[Hg]",
            "{cells}/uL",
            "mL/min/{1.73_m2}",
            "kg.m/s2",
            "m[H2O]",
            "mg{creat}/dL",
            "(g/L)/(mol/L)",
            "s-1",
            "s+2",
            "100",
            "ug/kg/(24.h)",
            "[degF]",
            "%[slope]",
        ] {
            assert!(parse(text).is_some(), "{text}");
        }
    }

    #[test]
    fn what_is_none() {
        let deep = "(".repeat(9) + "m" + &")".repeat(9);
        let long = "m.".repeat(200) + "m";
        for text in [
            "", " ", "m ", "mg/", ".m", "(m", "m)", "{a", "}", "kk", "foo", "m^2", "m--2", "2m",
            "-1", "year", "day", "0", "m200", "kCel2", "é", &deep, &long,
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
