//! The right side of a row: paths in FHIR, checked against its types.

use fhir_spec::definitions::{Element, Kind, TypeDef, TypeId, TypeRef, Types};
use fhir_spec::json::Text;
use fhir_spec::primitive::Primitive;

use super::super::error::Problem;
use super::super::plan::{ExpressionPlan, TargetPlan, WhichPlan};
use super::super::row::{Expression, Target, TargetStep, Which};
use super::Compiler;

/// Where a path ends.
#[derive(Clone, Copy)]
pub(super) struct End<'t> {
    pub(super) element: &'t Element,
    pub(super) type_ref: &'t TypeRef,
    pub(super) definition: &'t TypeDef,
    /// The last step names one of many and says of which it is: `[]` or `[a=b]`.
    pub(super) takes_many: bool,
}

impl End<'_> {
    pub(super) fn primitive(&self) -> Option<Primitive> {
        (self.definition.kind == Kind::Primitive)
            .then(|| Primitive::named(&self.definition.name))
            .flatten()
    }
}

/// The type of the elements that a step leads to.
struct Here<'t> {
    types: &'t Types,
    definition: &'t TypeDef,
}

impl<'c> Compiler<'c> {
    pub(super) fn target(
        &mut self,
        from: TypeId,
        target: &Target,
    ) -> Result<(Vec<TargetPlan>, End<'c>), Problem> {
        let types = self.definitions.types();
        let mut here = Here {
            types,
            definition: types.get(from),
        };
        let mut plans: Vec<TargetPlan> = Vec::new();
        let mut end: Option<End<'c>> = None;
        let mut takes_many = false;
        for step in &target.steps {
            if here.definition.kind == Kind::Primitive {
                // What FHIR hangs on a primitive stands beside it in JSON.
                match plans.last_mut() {
                    Some(last) if !last.is_list => {
                        last.name = Text::from(format!("_{}", last.name));
                    }
                    _ => {
                        return Err(Problem::new(
                            step.name.at.clone(),
                            "the end of the path: this is a list of plain values",
                        ));
                    }
                }
            }
            let (element, type_ref) = here.property(step)?;
            let definition = types.get(type_ref.id);
            let which = self.which(step, element, definition)?;
            takes_many |= !matches!(which, WhichPlan::First);
            let rivals = element
                .types
                .iter()
                .filter(|other| element.is_choice && other.json_name != type_ref.json_name)
                .map(|other| Text::from(&*other.json_name))
                .collect();
            plans.push(TargetPlan {
                name: Text::from(&*type_ref.json_name),
                is_list: element.is_list(),
                which,
                rivals,
            });
            end = Some(End {
                element,
                type_ref,
                definition,
                takes_many,
            });
            here.definition = definition;
        }
        let end = end.ok_or_else(|| Problem::new(target.at.clone(), "a path in FHIR"))?;
        if end.definition.kind == Kind::Resource {
            return Err(Problem::new(
                target.at.clone(),
                "an element, not a resource within: a block makes it, with contained",
            ));
        }
        Ok((plans, end))
    }

    fn which(
        &mut self,
        step: &TargetStep,
        element: &Element,
        definition: &TypeDef,
    ) -> Result<WhichPlan, Problem> {
        if !matches!(step.which, Which::First) && !element.is_list() {
            return Err(Problem::new(
                step.name.at.clone(),
                format!("no brackets: {} comes once at most", element.path),
            ));
        }
        let wanted = match &step.which {
            Which::First => return Ok(WhichPlan::First),
            Which::New => return Ok(WhichPlan::New),
            Which::Last => return Ok(WhichPlan::Last),
            Which::Nth(number) if self.outward.is_some() => return Ok(WhichPlan::Nth(*number)),
            Which::Nth(_) => {
                let expected = "no number: on the way in it is [], [last] or [a=b]";
                return Err(Problem::new(step.name.at.clone(), expected));
            }
            Which::Where(wanted) => wanted,
        };
        let mut plans = Vec::new();
        for (path, value) in wanted {
            let (steps, end) = self.target(definition.id, path)?;
            let primitive = end.primitive().ok_or_else(|| {
                Problem::new(
                    path.at.clone(),
                    format!("a plain element, not a {}", end.definition.name),
                )
            })?;
            let value = match value {
                Expression::Text(text) => {
                    self.literal_fits(text, &end, &path.at)?;
                    ExpressionPlan::Literal(literal(primitive, text))
                }
                Expression::Constant(name) => self.constant(name)?,
                _ => {
                    return Err(Problem::new(
                        path.at.clone(),
                        "a text or a $constant to compare with",
                    ));
                }
            };
            plans.push((steps, value, primitive));
        }
        Ok(WhichPlan::Where(plans))
    }
}

/// A literal as JSON writes a value of that type.
pub(super) fn literal(primitive: Primitive, text: &str) -> fhir_spec::json::Value {
    use fhir_spec::json::{Data, Value};
    use fhir_spec::primitive::Written;
    match primitive.written() {
        Written::Boolean => Value::from(text == "true"),
        Written::Number => Data::Number(text.into()).into(),
        Written::String => Value::from(text),
    }
}

impl<'t> Here<'t> {
    fn property(&self, step: &TargetStep) -> Result<(&'t Element, &'t TypeRef), Problem> {
        let name = step.name.text.as_str();
        if let Some(found) = self.definition.property(name) {
            return Ok(found);
        }
        let expected = match self.definition.element(name) {
            Some(choice) => {
                let names = choice
                    .types
                    .iter()
                    .take(6)
                    .map(|kind| &*kind.json_name)
                    .collect::<Vec<_>>();
                format!("{name} with its type: {}", names.join(", "))
            }
            None => {
                let near = nearest(name, self.definition);
                let type_name = &self.types.get(self.definition.id).name;
                match near {
                    Some(near) => format!("an element of {type_name}, such as {near}"),
                    None => format!("an element of {type_name}"),
                }
            }
        };
        Err(Problem::new(step.name.at.clone(), expected).found(name))
    }
}

/// The element whose name begins most like a wrong one.
fn nearest<'t>(name: &str, definition: &'t TypeDef) -> Option<&'t str> {
    let alike = |other: &str| {
        name.chars()
            .zip(other.chars())
            .take_while(|(a, b)| a.eq_ignore_ascii_case(b))
            .count()
    };
    let names = definition
        .elements
        .iter()
        .flat_map(|element| &element.types)
        .map(|kind| &*kind.json_name);
    names
        .map(|other| (alike(other), other))
        .filter(|(count, _)| *count > 0)
        .max_by_key(|(count, _)| *count)
        .map(|(_, other)| other)
}
