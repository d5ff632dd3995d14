//! Fixed values and patterns. <https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.fixed_x_>

use crate::json::{Data, Value};

/// Equal to the last member; the order of members does not matter.
pub(super) fn is_equal(fixed: &Value, value: &Value) -> bool {
    match (&fixed.data, &value.data) {
        (Data::Object(fixed), Data::Object(value)) => {
            fixed.len() == value.len()
                && fixed.iter().all(|(name, fixed)| {
                    value.get(name).is_some_and(|value| is_equal(fixed, value))
                })
        }
        (Data::Array(fixed), Data::Array(value)) => {
            fixed.len() == value.len()
                && fixed
                    .iter()
                    .zip(value)
                    .all(|(fixed, value)| is_equal(fixed, value))
        }
        (fixed, value) => fixed == value,
    }
}

/// The value has at least what the pattern has; every item of an array in the pattern is matched by some item.
pub(super) fn fits(pattern: &Value, value: &Value) -> bool {
    match (&pattern.data, &value.data) {
        (Data::Object(pattern), Data::Object(value)) => pattern
            .iter()
            .all(|(name, pattern)| value.get(name).is_some_and(|value| fits(pattern, value))),
        (Data::Array(pattern), Data::Array(value)) => pattern
            .iter()
            .all(|pattern| value.iter().any(|value| fits(pattern, value))),
        (pattern, value) => pattern == value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn value(text: &str) -> Value {
        parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_fixed_value_is_met_to_the_last_member() {
        let fixed = value(r#"{"system":"s","code":"c"}"#);
        assert!(is_equal(&fixed, &value(r#"{"code":"c","system":"s"}"#)));
        assert!(!is_equal(
            &fixed,
            &value(r#"{"code":"c","system":"s","display":"d"}"#)
        ));
        assert!(!is_equal(&fixed, &value(r#"{"code":"c"}"#)));
        assert!(!is_equal(&value("[1,2]"), &value("[2,1]")));
    }

    #[test]
    fn a_pattern_is_met_by_more() {
        let pattern = value(r#"{"coding":[{"system":"s","code":"c"}]}"#);
        assert!(fits(
            &pattern,
            &value(
                r#"{"text":"t","coding":[{"code":"x"},{"code":"c","system":"s","display":"d"}]}"#
            )
        ));
        assert!(!fits(
            &pattern,
            &value(r#"{"coding":[{"code":"c"},{"system":"s"}]}"#)
        ));
        assert!(!fits(
            &pattern,
            &value(r#"{"coding":{"code":"c","system":"s"}}"#)
        ));
    }
}
