//! The expressions of search parameters, as far as they are plain paths. <https://hl7.org/fhir/R4/searchparameter.html>
//!
//! All of R4's are, but two. What is no plain path is left to FHIRPath.

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Member(Box<str>),
    /// `ofType(T)`, `as(T)` and `(... as T)`
    OfType(Box<str>),
    /// `where(name='literal')`
    Where(Box<str>, Box<str>),
    /// `where(resolve() is T)`
    Targets(Box<str>),
    Index(usize),
}

/// The branches of a union, each cut at the top level only.
pub(super) fn branches(expression: &str) -> Vec<&str> {
    let (mut depth, mut is_quoted, mut start) = (0_u32, false, 0);
    let mut found = Vec::new();
    for (at, c) in expression.char_indices() {
        match c {
            '\'' => is_quoted = !is_quoted,
            '(' if !is_quoted => depth += 1,
            ')' if !is_quoted => depth = depth.saturating_sub(1),
            '|' if !is_quoted && depth == 0 => {
                found.extend(expression.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    found.extend(expression.get(start..));
    found
        .into_iter()
        .map(str::trim)
        .filter(|b| !b.is_empty())
        .collect()
}

/// The steps of one branch; nothing when it is more than a path.
pub(super) fn steps(branch: &str) -> Option<Vec<Step>> {
    let mut scan = Scan { rest: branch };
    let steps = scan.term()?;
    scan.skip_space();
    scan.rest.is_empty().then_some(steps)
}

struct Scan<'t> {
    rest: &'t str,
}

impl<'t> Scan<'t> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, wanted: &str) -> bool {
        self.skip_space();
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, wanted: &str) -> Option<()> {
        self.take(wanted).then_some(())
    }

    fn name(&mut self) -> Option<&'t str> {
        self.skip_space();
        let is_end = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        let end = self.rest.find(is_end).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        (!name.is_empty()).then_some(name)
    }

    fn literal(&mut self) -> Option<&'t str> {
        self.expect("'")?;
        let (literal, rest) = self.rest.split_once('\'')?;
        self.rest = rest;
        (!literal.contains('\\')).then_some(literal)
    }

    fn term(&mut self) -> Option<Vec<Step>> {
        let mut steps = if self.take("(") {
            let mut steps = self.term()?;
            if self.take("as ") {
                steps.push(Step::OfType(self.type_name()?));
            }
            self.expect(")")?;
            steps
        } else {
            let mut steps = Vec::new();
            self.step(&mut steps)?;
            steps
        };
        loop {
            if self.take(".") {
                self.step(&mut steps)?;
            } else if self.take("[") {
                steps.push(Step::Index(self.name()?.parse().ok()?));
                self.expect("]")?;
            } else {
                return Some(steps);
            }
        }
    }

    /// `Quantity`, `FHIR.Quantity`
    fn type_name(&mut self) -> Option<Box<str>> {
        let name = self.name()?;
        match name {
            "FHIR" if self.take(".") => self.name().map(Into::into),
            _ => Some(name.into()),
        }
    }

    fn step(&mut self, steps: &mut Vec<Step>) -> Option<()> {
        let name = self.name()?;
        if !self.take("(") {
            steps.push(Step::Member(name.into()));
            return Some(());
        }
        match name {
            "as" | "ofType" => steps.push(Step::OfType(self.type_name()?)),
            "extension" => {
                steps.push(Step::Member("extension".into()));
                steps.push(Step::Where("url".into(), self.literal()?.into()));
            }
            "where" => {
                let subject = self.name()?;
                if subject == "resolve" {
                    self.expect("()")?;
                    self.expect("is ")?;
                    steps.push(Step::Targets(self.type_name()?));
                } else {
                    self.expect("=")?;
                    steps.push(Step::Where(subject.into(), self.literal()?.into()));
                }
            }
            _ => return None,
        }
        self.expect(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(branch: &str) -> String {
        steps(branch).map_or_else(|| "-".into(), |steps| format!("{steps:?}"))
    }

    #[test]
    fn every_form_of_r4() {
        for (branch, wanted) in [
            ("Patient.name", r#"[Member("Patient"), Member("name")]"#),
            (
                "(Observation.value as Quantity)",
                r#"[Member("Observation"), Member("value"), OfType("Quantity")]"#,
            ),
            (
                "(Observation.value as CodeableConcept).text",
                r#"[Member("Observation"), Member("value"), OfType("CodeableConcept"), Member("text")]"#,
            ),
            (
                "value.as(DateTime)",
                r#"[Member("value"), OfType("DateTime")]"#,
            ),
            (
                "Person.link.target.where(resolve() is Patient)",
                r#"[Member("Person"), Member("link"), Member("target"), Targets("Patient")]"#,
            ),
            (
                "Patient.telecom.where(system='phone')",
                r#"[Member("Patient"), Member("telecom"), Where("system", "phone")]"#,
            ),
            (
                "Patient.extension('http://x/y').value",
                r#"[Member("Patient"), Member("extension"), Where("url", "http://x/y"), Member("value")]"#,
            ),
            (
                "Bundle.entry[0].resource",
                r#"[Member("Bundle"), Member("entry"), Index(0), Member("resource")]"#,
            ),
        ] {
            assert_eq!(shown(branch), wanted, "{branch}");
        }
    }

    #[test]
    fn what_is_more_than_a_path() {
        for branch in [
            "Patient.deceased.exists() and Patient.deceased != false",
            "%resource.referenceSeq.chromosome",
            "a.where(b)",
            "a.where(b = 'it\\'s')",
            "a b",
            "(a",
            "",
        ] {
            assert_eq!(steps(branch), None, "{branch}");
        }
    }

    #[test]
    fn unions_are_cut_outside_of_texts_and_parentheses() {
        assert_eq!(
            branches("a.b | (c as D) | e.where(f='g|h') | i.where(j | k)"),
            ["a.b", "(c as D)", "e.where(f='g|h')", "i.where(j | k)"]
        );
        assert_eq!(branches(" "), Vec::<&str>::new());
    }
}
