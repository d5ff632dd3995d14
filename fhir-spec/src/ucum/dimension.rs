//! The base units an expression stands in, with their powers.

use std::fmt;

/// `g.m-3` as a list of base units and powers, in the order of `rank`, none of power zero.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Dimension {
    powers: Vec<(&'static str, i8)>,
}

/// Grams first, as people write `g.m-3`; arbitrary units last, by name.
const ORDER: &[&str] = &["g", "mol", "m", "s", "K", "C", "cd", "rad"];

fn rank(unit: &str) -> usize {
    ORDER
        .iter()
        .position(|base| *base == unit)
        .unwrap_or(ORDER.len())
}

impl Dimension {
    pub fn base(unit: &'static str) -> Self {
        Self {
            powers: vec![(unit, 1)],
        }
    }

    pub fn is_none(&self) -> bool {
        self.powers.is_empty()
    }

    pub fn checked_mul(mut self, other: &Self) -> Option<Self> {
        for (unit, power) in &other.powers {
            match self.powers.iter_mut().find(|(name, _)| name == unit) {
                Some((_, sum)) => *sum = sum.checked_add(*power)?,
                None => self.powers.push((unit, *power)),
            }
        }
        self.powers.retain(|(_, power)| *power != 0);
        self.powers
            .sort_unstable_by_key(|(unit, _)| (rank(unit), *unit));
        Some(self)
    }

    pub fn checked_pow(mut self, power: i8) -> Option<Self> {
        for (_, own) in &mut self.powers {
            *own = own.checked_mul(power)?;
        }
        self.powers.retain(|(_, power)| *power != 0);
        Some(self)
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.powers.is_empty() {
            return f.write_str("1");
        }
        for (index, (unit, power)) in self.powers.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            f.write_str(unit)?;
            if *power != 1 {
                write!(f, "{power}")?;
            }
        }
        Ok(())
    }
}
