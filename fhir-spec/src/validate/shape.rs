//! The shape of JSON: properties that exist, lists that are lists, no null where none belongs, primitives beside their
//! siblings. <https://hl7.org/fhir/R4/json.html>
//!
//! This is the walk itself: every value of a document is visited once, with its type, and handed to the checks that the
//! type calls for.

use crate::definitions::{Element, Kind, TypeDef, TypeId, TypeRef};
use crate::json::{Data, Object, Value};
use crate::outcome::IssueCode;
use crate::primitive::Primitive;
use crate::reference::is_absolute;

use super::node::{Node, extra_of};
use super::path::Path;
use super::plan::{ElementPlan, Special, TypePlan};
use super::scope::Scope;
use super::walk::Walk;

/// A property of an object: its element, and which of the element's types.
#[derive(Clone, Copy)]
struct Property<'v> {
    element: &'v Element,
    plan: &'v ElementPlan,
    kind: &'v TypeRef,
}

impl<'v> Property<'v> {
    /// The types that a reference may lead to.
    fn targets(&self) -> &'v [TypeId] {
        let kinds = self.element.types.iter().zip(&self.plan.targets);
        kinds
            .filter(|(kind, _)| std::ptr::eq(*kind, self.kind))
            .map(|(_, targets)| targets.as_slice())
            .next()
            .unwrap_or_default()
    }
}

impl<'v> Walk<'v> {
    /// The members of an object, what is missing among them, and the rules of its type.
    pub(super) fn object<'d>(
        &mut self,
        object: &'d Object,
        at: u32,
        path: &Path<'_>,
        scope: &Scope<'d>,
    ) {
        let definition = self.types.get(path.type_id);
        let plan = self.validator.plan(path.type_id);
        let has_extras = object.names().any(|name| name.starts_with('_'));
        for (name, value) in object.iter() {
            let (plain, is_extra) = match name.strip_prefix('_') {
                Some(plain) => (plain, true),
                None => (name, false),
            };
            if name == "resourceType" && definition.kind == Kind::Resource {
                continue;
            }
            let Some(property) = property(definition, plan, plain) else {
                self.unknown_property(definition, name, value, path);
                continue;
            };
            let is_primitive = self.types.get(property.kind.id).kind == Kind::Primitive;
            if is_extra && !is_primitive {
                self.report.error(path, value.at, IssueCode::Structure, || {
                    format!("unknown property `{name}`: `{plain}` is no primitive, id and extensions stand inside it")
                });
                continue;
            }
            if is_extra && object.contains(plain) {
                continue; // seen with its value
            }
            let (value, extra) = if is_extra {
                (None, Some(value))
            } else if has_extras && is_primitive {
                (Some(value), extra_of(object, plain))
            } else {
                (Some(value), None)
            };
            if property.element.is_list() {
                self.list(property, value, extra, path, scope);
            } else {
                self.single(property, value, extra, path, scope);
            }
        }
        self.missing(object, at, definition, plan, path);
        self.one_of_each_choice(object, definition, plan, path);
    }

    fn unknown_property(
        &mut self,
        definition: &TypeDef,
        name: &str,
        value: &Value,
        path: &Path<'_>,
    ) {
        self.report.error(path, value.at, IssueCode::Structure, || {
            let plain = name.trim_start_matches('_');
            let choice = definition
                .elements
                .iter()
                .find(|element| element.is_choice && plain.starts_with(&*element.name));
            match choice {
                Some(choice) => {
                    let names: Vec<&str> =
                        choice.types.iter().map(|kind| &*kind.json_name).collect();
                    format!(
                        "unknown property `{name}`: expected one of {}",
                        names.join(", ")
                    )
                }
                None => format!(
                    "unknown property `{name}`: {} has none of that name",
                    definition.name
                ),
            }
        });
    }

    fn single<'d>(
        &mut self,
        property: Property<'v>,
        value: Option<&'d Value>,
        extra: Option<&'d Value>,
        path: &Path<'_>,
        scope: &Scope<'d>,
    ) {
        for half in [value, extra].into_iter().flatten() {
            if let Data::Array(_) = half.data {
                let name = &*property.kind.json_name;
                self.report.error(path, half.at, IssueCode::Structure, || {
                    format!("`{name}`: one value expected, found an array")
                });
                // What is in the array still has its say, all at once.
                self.items(property, value, extra, path, scope);
                return;
            }
        }
        self.item(property, (value, extra), None, path, scope);
    }

    fn list<'d>(
        &mut self,
        property: Property<'v>,
        value: Option<&'d Value>,
        extra: Option<&'d Value>,
        path: &Path<'_>,
        scope: &Scope<'d>,
    ) {
        let name = &*property.kind.json_name;
        for half in [value, extra].into_iter().flatten() {
            match &half.data {
                Data::Array(items) if items.is_empty() => {
                    self.report.error(path, half.at, IssueCode::Structure, || {
                        format!("`{name}` is an empty array: leave the property out instead")
                    });
                }
                Data::Array(_) => {}
                _ => self.report.error(path, half.at, IssueCode::Structure, || {
                    format!("`{name}`: an array expected, found {}", half.kind())
                }),
            }
        }
        if let (Some(values), Some(extras)) = (
            value.and_then(Value::as_array),
            extra.and_then(Value::as_array),
        ) && values.len() != extras.len()
        {
            let at = extra.map_or(0, |extra| extra.at);
            self.report.error(path, at, IssueCode::Structure, || {
                format!(
                    "`{name}` has {} items and `_{name}` has {}: the two arrays are aligned, filled up with null",
                    values.len(),
                    extras.len()
                )
            });
        }
        self.items(property, value, extra, path, scope);
    }

    fn items<'d>(
        &mut self,
        property: Property<'v>,
        value: Option<&'d Value>,
        extra: Option<&'d Value>,
        path: &Path<'_>,
        scope: &Scope<'d>,
    ) {
        let values = items(value);
        let extras = items(extra);
        let count = values.len().max(extras.len());
        if let Some(max) = property.element.max
            && property.element.is_list()
            && count > usize::try_from(max).unwrap_or(usize::MAX)
        {
            let at = value.or(extra).map_or(0, |half| half.at);
            let name = &*property.kind.json_name;
            self.report.error(path, at, IssueCode::Structure, || {
                format!("`{name}`: at most {max} allowed, found {count}")
            });
        }
        for index in 0..count {
            let halves = (values.get(index), extras.get(index));
            self.item(property, halves, Some(index), path, scope);
        }
    }

    /// One value of an element, with its checks.
    fn item<'d>(
        &mut self,
        property: Property<'v>,
        (value, extra): (Option<&'d Value>, Option<&'d Value>),
        index: Option<usize>,
        path: &Path<'_>,
        scope: &Scope<'d>,
    ) {
        let type_id = property.kind.id;
        let definition = self.types.get(type_id);
        let path = &path.child(&property.element.name, index, type_id);
        let node = Node {
            value: value.filter(|value| !value.is_null()),
            extra: extra.filter(|extra| !extra.is_null()),
            type_id,
        };
        // null is good for one thing: to fill up an array of primitives whose siblings say more.
        let is_filler = index.is_some()
            && definition.kind == Kind::Primitive
            && (node.value.is_some() || node.extra.is_some());
        for half in [value, extra].into_iter().flatten() {
            if half.is_null() && !is_filler {
                self.report.error(path, half.at, IssueCode::Structure, || {
                    "null is not allowed here: leave it out".to_owned()
                });
            }
        }
        if node.value.is_none() && node.extra.is_none() {
            return;
        }
        let is_sound = match definition.kind {
            Kind::Primitive => self.primitive(node, path, scope),
            Kind::Resource => {
                if let Some(value) = node.value {
                    self.inner_resource(value, path, scope);
                }
                return;
            }
            Kind::Complex | Kind::Backbone => self.complex(node, path, scope),
        };
        if is_sound {
            self.after_item(property, node, path, scope);
        }
    }

    /// What is checked once the value itself has the right shape.
    fn after_item<'d>(
        &mut self,
        property: Property<'v>,
        node: Node<'d>,
        path: &Path<'_>,
        scope: &Scope<'d>,
    ) {
        let plan = self.validator.plan(node.type_id);
        match plan.special {
            Special::None => {}
            Special::Coded => self.coding(node, path),
            Special::Extension => self.extension(&property.element.name, node, path, scope),
            Special::Narrative => self.narrative(node, path),
            Special::Reference => {
                self.reference(node, property.targets(), path, scope);
            }
        }
        if let Some(bound) = &property.plan.bound {
            self.binding(bound, node, path);
        }
        self.rules(&plan.rules, node, path, scope);
        self.rules(&property.plan.rules, node, path, scope);
        for canonical in &property.kind.profiles {
            if let Ok(profile) = self.validator.profile(canonical) {
                self.hold(&profile, node, path, scope);
            }
        }
    }

    fn complex<'d>(&mut self, node: Node<'d>, path: &Path<'_>, scope: &Scope<'d>) -> bool {
        let Some(value) = node.value else {
            return false;
        };
        let Some(object) = value.as_object() else {
            let name = &self.types.get(node.type_id).name;
            self.report.error(path, value.at, IssueCode::Structure, || {
                format!("an object ({name}) expected, found {}", value.kind())
            });
            return false;
        };
        self.has_content(object, value.at, path);
        self.object(object, value.at, path, scope);
        true
    }

    /// `ele-1` natively: `hasValue() or (children().count() > id.count())`.
    pub(super) fn has_content(&mut self, object: &Object, at: u32, path: &Path<'_>) {
        if object.names().all(|name| name == "id" || name == "_id") {
            self.report.error(path, at, IssueCode::Invariant, || {
                "ele-1: an element must have a value or children".to_owned()
            });
        }
    }

    /// True when the value has the format of its type.
    fn primitive<'d>(&mut self, node: Node<'d>, path: &Path<'_>, scope: &Scope<'d>) -> bool {
        let mut is_sound = true;
        if let Some(value) = node.value
            && let Some(primitive) = self.validator.plan(node.type_id).primitive
            && let Err(expected) = primitive.check(value)
        {
            is_sound = false;
            let code = match value.data {
                Data::Array(_) | Data::Object(_) => IssueCode::Structure,
                _ => IssueCode::Value,
            };
            self.report.error(path, value.at, code, || {
                format!("expected {expected}, found {}", excerpt(value))
            });
        }
        if is_sound && let Some(value) = node.value {
            self.canonical(value, path);
        }
        if let Some(extra) = node.extra {
            let Some(object) = extra.as_object() else {
                self.report.error(path, extra.at, IssueCode::Structure, || {
                    format!(
                        "an object with id or extensions expected, found {}",
                        extra.kind()
                    )
                });
                return false;
            };
            if node.value.is_none() || object.is_empty() {
                self.has_content(object, extra.at, path);
            }
            self.object(object, extra.at, path, scope);
        }
        is_sound
    }
}

fn property<'v>(definition: &'v TypeDef, plan: &'v TypePlan, name: &str) -> Option<Property<'v>> {
    let (place, element, kind) = definition.ordered_property(name)?;
    Some(Property {
        element,
        plan: plan.elements.get(place)?,
        kind,
    })
}

fn items(value: Option<&Value>) -> &[Value] {
    match value {
        None => &[],
        Some(value) => value
            .as_array()
            .unwrap_or_else(|| std::slice::from_ref(value)),
    }
}

impl Walk<'_> {
    /// A canonical is an absolute url, or a fragment for what is contained: told as a warning, since many examples of
    /// the specification use relative ones. <https://hl7.org/fhir/R4/references.html#canonical>
    fn canonical(&mut self, value: &Value, path: &Path<'_>) {
        let is_canonical =
            self.validator.plan(path.type_id).primitive == Some(Primitive::Canonical);
        if let Some(url) = value.as_str()
            && is_canonical
            && !url.starts_with('#')
            && !is_absolute(url)
        {
            self.report.warning(path, value.at, IssueCode::Value, || {
                format!("a canonical is an absolute url, `{url}` is not")
            });
        }
    }
}

/// How many characters of a value a message repeats.
const EXCERPT_CHARACTERS_MAX: usize = 60;

/// A value for a message: short ones as they are, of long ones the beginning.
pub(super) fn excerpt(value: &Value) -> String {
    match &value.data {
        Data::String(text) if text.chars().count() > EXCERPT_CHARACTERS_MAX => {
            let start: String = text.chars().take(EXCERPT_CHARACTERS_MAX).collect();
            format!("{start:?} and more")
        }
        Data::String(text) => format!("{text:?}"),
        Data::Number(text) => format!("the number {text}"),
        Data::Bool(value) => value.to_string(),
        _ => value.kind().to_owned(),
    }
}

/// Whether `kind` is, or derives from, one of `allowed`; an empty list allows all.
pub(super) fn is_allowed(walk: &Walk<'_>, kind: TypeId, allowed: &[TypeId]) -> bool {
    allowed.is_empty()
        || allowed
            .iter()
            .any(|allowed| walk.types.is_a(kind, *allowed))
}
