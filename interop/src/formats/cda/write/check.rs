//! Whether templates fit together: what they name is there, and what they ask of a resource it can have.

use fhir_spec::definitions::Definitions;
use fhir_spec::fhirpath::Expression;

use super::notation::{BadTemplate, Line, Templates, What};
use super::values::Conversion;

pub(super) fn check(all: &mut Templates, bad: &mut Vec<BadTemplate>) {
    let mut tell = |told: String| {
        bad.push(BadTemplate {
            file: "all files",
            line: 0,
            told,
        });
    };
    for document in &all.documents {
        for (name, _) in &document.sections {
            if !all.sections.iter().any(|section| section.name == *name) {
                tell(format!("{}: there is no section {name}", document.name));
            }
        }
    }
    for section in &all.sections {
        for (name, condition) in &section.entries {
            match all.templates.get(name).map(|template| template.of) {
                None => tell(format!("{}: there is no template {name}", section.name)),
                Some(None) => tell(format!("{}: {name} is for no resource", section.name)),
                Some(Some(kind)) => ask(kind, condition.as_ref(), section.name, &mut tell),
            }
        }
        for (kind, condition) in &section.takes {
            ask(kind, condition.as_ref(), section.name, &mut tell);
        }
    }
    for (name, template) in &all.templates {
        if let Some(kind) = template.of {
            typed(&template.lines, kind, name, &mut tell);
        }
        named(&template.lines, all, name, &mut tell);
    }
}

/// Expressions about the resource itself; what stands deeper is about something else.
fn typed(lines: &[Line], kind: &str, name: &str, tell: &mut impl FnMut(String)) {
    for line in lines {
        ask(kind, line.condition.as_ref(), name, tell);
        ask(kind, line.source.as_ref(), name, tell);
        if line.source.is_none() {
            typed(&line.children, kind, name, tell);
        }
    }
}

fn ask(kind: &str, expression: Option<&Expression>, name: &str, tell: &mut impl FnMut(String)) {
    let types = Definitions::r4().types();
    let Some(kind_id) = types.by_name(kind) else {
        return tell(format!("{name}: there is no type {kind}"));
    };
    if let Some(expression) = expression
        && let Err(error) = expression.check(types, kind_id, false)
    {
        tell(format!(
            "{name}: `{}` of {kind}: {error}",
            expression.text()
        ));
    }
}

fn named(lines: &[Line], all: &Templates, name: &str, tell: &mut impl FnMut(String)) {
    for line in lines {
        if let What::Use(used) = &line.what
            && !all.templates.contains_key(used)
        {
            tell(format!("{name}: there is no template {used}"));
        }
        if let Some(Conversion::Code(table)) = line.conversion
            && !all.tables.contains_key(table)
        {
            tell(format!("{name}: there is no table of codes {table}"));
        }
        named(&line.children, all, name, tell);
    }
}

#[cfg(test)]
mod tests {
    use super::super::notation::read;

    fn told(text: &'static str) -> String {
        let bad = read(&[("a.template", text)]).unwrap_err();
        let all: Vec<String> = bad.iter().map(ToString::to_string).collect();
        all.join("\n")
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, wrong) in [
            (
                "template A of Patient\n  observation\n    reactions",
                "a.template:3: Observation has no reactions",
            ),
            (
                "template A of Patient\n  act[Nothing@2015-08-01]",
                "a.template:2: there is no template Nothing",
            ),
            (
                "template A of Patient\n  act\n    id <- identifier.nothing() : II",
                "a.template:3: `identifier.nothing()`",
            ),
            (
                "template A of Patient\n  act\n    id <- identifiers : II",
                "A: `identifiers` of Patient",
            ),
            (
                "template A of Patient\n  act\n    code <- gender : XX",
                "a.template:3: there is no such conversion",
            ),
            (
                "template A of Patient\n  act\n    code <- gender : code none",
                "A: there is no table of codes none",
            ),
            (
                "template A of Patient\n  act\n    use B",
                "A: there is no template B",
            ),
            (
                "section s 1-8 \"S\"\n  entry A",
                "s: there is no template A",
            ),
            (
                "document d 1-8 \"D\"\n  section s",
                "d: there is no section s",
            ),
            ("page", "a.template:1: expected document, section"),
        ] {
            assert!(told(text).contains(wrong), "{text}: {}", told(text));
        }
    }

    #[test]
    fn what_is_right_is_read() {
        let good = "template A of Patient\n  act classCode=ACT\n    use B <- name if active\n    id <- identifier : II else UNK\n\
            template B\n  participant typeCode=IND\n    participantRole\n      id nullFlavor=NI";
        assert!(read(&[("a.template", good)]).is_ok());
    }
}
