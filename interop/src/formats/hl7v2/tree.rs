//! The tree of a message: views into one text. A message is two lists of offsets; everything below a field is found when
//! it is asked for, which for fields as they are is faster than to have looked before.

use std::borrow::Cow;

use super::forgiven::{Forgiven, Told};
use super::{Charset, Delimiters, Path, escape, narrow, slice, wide};

/// Bytes of a short value.
const SHORT: usize = 32;

/// Whether there is something: three kinds of nothing mean three different things to who stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// The segment ends before it, or nothing stands there: what is known stays.
    Absent,
    /// `""`: what is known is to be deleted.
    Null,
    Valued,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) from: u32,
    pub(crate) to: u32,
    /// Its fields in the list of all fields.
    pub(crate) first_field: u32,
    pub(crate) fields: u32,
}

/// One message. `'t` is its decoded text.
#[derive(Debug, Clone)]
pub struct Message<'t> {
    pub(crate) text: &'t str,
    pub(crate) delimiters: Delimiters,
    pub(crate) charset: Charset,
    pub(crate) spans: Vec<Span>,
    /// Where fields begin.
    pub(crate) fields: Vec<u32>,
    pub(crate) told: Told,
}

impl<'t> Message<'t> {
    /// The whole text, as it was decoded.
    pub fn text(&self) -> &'t str {
        self.text
    }

    pub fn delimiters(&self) -> Delimiters {
        self.delimiters
    }

    /// What the bytes were written in.
    pub fn charset(&self) -> Charset {
        self.charset
    }

    pub fn forgiven(&self) -> &[Forgiven] {
        &self.told.list
    }

    /// How many more things were forgiven than are told.
    pub fn forgiven_untold(&self) -> usize {
        self.told.untold
    }

    pub fn segment_count(&self) -> usize {
        self.spans.len()
    }

    /// A segment by its place, counted from zero.
    pub fn segment(&self, index: usize) -> Option<Segment<'_, 't>> {
        let span = *self.spans.get(index)?;
        Some(Segment {
            message: self,
            span,
            index,
        })
    }

    pub fn segments(&self) -> impl Iterator<Item = Segment<'_, 't>> {
        (0..self.spans.len()).filter_map(|index| self.segment(index))
    }

    pub fn segments_named(&self, name: &str) -> impl Iterator<Item = Segment<'_, 't>> {
        self.segments()
            .filter(move |segment| segment.name() == name)
    }

    /// MSH.
    pub fn header(&self) -> Option<Segment<'_, 't>> {
        self.segment(0)
    }

    /// What stands at a path, undone of escapes; nothing unless it is valued.
    pub fn value(&self, path: &Path) -> Option<Cow<'t, str>> {
        self.part(path)?.value()
    }

    /// What a path names: the first segment, repetition ... where it does not say which.
    pub fn part(&self, path: &Path) -> Option<Part<'t>> {
        let segment = self
            .segments_named(path.segment())
            .nth(path.occurrence().unwrap_or(1).checked_sub(1)?)?;
        segment.part(path)
    }

    pub fn presence(&self, path: &Path) -> Presence {
        self.part(path)
            .map_or(Presence::Absent, |part| part.presence())
    }

    /// A part of MSH, which has no repetitions worth the name: trigger, id, version ...
    pub fn of_header(&self, field: usize, component: usize) -> Cow<'t, str> {
        self.header()
            .and_then(|header| header.field(field))
            .and_then(|field| field.component(component))
            .map(|component| component.text())
            .unwrap_or_default()
    }
}

/// `PID|1||...`, without its end.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'m, 't> {
    message: &'m Message<'t>,
    span: Span,
    index: usize,
}

impl<'t> Segment<'_, 't> {
    pub fn name(&self) -> &'t str {
        let from = wide(self.span.from);
        slice(self.message.text, from, from + 3)
    }

    pub fn raw(&self) -> &'t str {
        slice(self.message.text, self.at(), wide(self.span.to))
    }

    /// Its first byte in the text.
    pub fn at(&self) -> usize {
        wide(self.span.from)
    }

    /// Its place among the segments, counted from zero.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The number of its last field.
    pub fn field_count(&self) -> usize {
        wide(self.span.fields)
    }

    fn is_header(&self) -> bool {
        is_header(self.name())
    }

    /// A field by its number in the standard: MSH-1 is the separator itself.
    pub fn field(&self, number: usize) -> Option<Field<'t>> {
        let place = number.checked_sub(1)?;
        if place >= self.field_count() {
            return None;
        }
        let first = wide(self.span.first_field);
        let from = wide(*self.message.fields.get(first + place)?);
        let opaque = number <= 2 && self.is_header();
        let to = if opaque && number == 1 {
            from + 1
        } else if place + 1 < self.field_count() {
            wide(*self.message.fields.get(first + place + 1)?) - 1
        } else {
            wide(self.span.to)
        };
        Some(Field(Part {
            raw: slice(self.message.text, from, to),
            at: narrow(from),
            delimiters: if opaque {
                Delimiters::NONE
            } else {
                self.message.delimiters
            },
            charset: self.message.charset,
        }))
    }

    /// Which fields are not empty, a bit for each number below 64.
    pub(super) fn present(&self) -> u64 {
        let first = wide(self.span.first_field);
        let fields = self.message.fields.get(first..).unwrap_or_default();
        let fields = fields.iter().take(self.field_count()).copied();
        let ends = fields.clone().skip(1).chain([self.span.to + 1]);
        let mut bit = 1u64 << 1;
        let mut present = 0;
        for (from, end) in fields.zip(ends) {
            if from + 1 < end {
                present |= bit;
            }
            bit <<= 1;
        }
        // The separator is a field itself.
        if self.is_header() { u64::MAX } else { present }
    }

    /// All fields from the first, empty ones too.
    pub fn fields(&self) -> impl Iterator<Item = Field<'t>> {
        (1..=self.field_count()).filter_map(|number| self.field(number))
    }

    /// What the rest of a path names in this segment.
    pub fn part(&self, path: &Path) -> Option<Part<'t>> {
        let Some(field) = path.field() else {
            return Some(Part {
                raw: self.raw(),
                at: self.span.from,
                delimiters: self.message.delimiters,
                charset: self.message.charset,
            });
        };
        let field = self.field(field)?;
        if path.repetition().is_none() && path.component().is_none() {
            return Some(field.0);
        }
        let repetition = field.repetition(path.repetition().unwrap_or(1))?;
        let Some(component) = path.component() else {
            return Some(repetition.0);
        };
        let component = repetition.component(component)?;
        match path.subcomponent() {
            None => Some(component.0),
            Some(number) => Some(component.subcomponent(number)?.0),
        }
    }
}

pub(crate) fn is_header(name: &str) -> bool {
    matches!(name, "MSH" | "FHS" | "BHS")
}

/// A piece of the text that stands for something, from a whole field down to a subcomponent.
#[derive(Debug, Clone, Copy)]
pub struct Part<'t> {
    raw: &'t str,
    at: u32,
    delimiters: Delimiters,
    charset: Charset,
}

impl<'t> Part<'t> {
    /// As it stands in the text.
    pub fn raw(&self) -> &'t str {
        self.raw
    }

    /// Its first byte in the text.
    pub fn at(&self) -> usize {
        wide(self.at)
    }

    pub fn presence(&self) -> Presence {
        match self.raw {
            "" => Presence::Absent,
            "\"\"" => Presence::Null,
            _ => Presence::Valued,
        }
    }

    /// Undone of escapes; `""` is two characters here.
    pub fn text(&self) -> Cow<'t, str> {
        escape::unescape(self.raw, &self.delimiters, self.charset)
    }

    /// Undone of escapes, nothing unless it is valued.
    pub fn value(&self) -> Option<Cow<'t, str>> {
        (self.presence() == Presence::Valued).then(|| self.text())
    }

    /// What text and escapes it is made of.
    pub fn pieces(&self) -> escape::Pieces<'t> {
        escape::pieces(self.raw, &self.delimiters)
    }

    /// Whether the sender cut it off and said so (2.7).
    pub fn is_truncated(&self) -> bool {
        self.delimiters.truncation != 0
            && self.raw.as_bytes().last() == Some(&self.delimiters.truncation)
    }

    fn split(&self, delimiter: u8) -> Parts<'t> {
        Parts {
            rest: Some(*self),
            delimiter,
        }
    }
}

/// The parts between delimiters, one after the other.
#[derive(Debug, Clone)]
struct Parts<'t> {
    rest: Option<Part<'t>>,
    delimiter: u8,
}

impl<'t> Iterator for Parts<'t> {
    type Item = Part<'t>;

    fn next(&mut self) -> Option<Part<'t>> {
        let whole = self.rest.take()?;
        let end = match self.delimiter {
            0 => None,
            // Most values are short, and for those a plain loop is the fastest.
            delimiter if whole.raw.len() <= SHORT => {
                whole.raw.bytes().position(|byte| byte == delimiter)
            }
            delimiter => whole.raw.find(char::from(delimiter)),
        };
        let Some(end) = end else {
            return Some(whole);
        };
        self.rest = Some(Part {
            raw: slice(whole.raw, end + 1, whole.raw.len()),
            at: narrow(whole.at() + end + 1),
            ..whole
        });
        Some(Part {
            raw: slice(whole.raw, 0, end),
            ..whole
        })
    }
}

macro_rules! levels {
    ($($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name<'t>(pub(crate) Part<'t>);

        impl<'t> std::ops::Deref for $name<'t> {
            type Target = Part<'t>;

            fn deref(&self) -> &Part<'t> {
                &self.0
            }
        }
    )+};
}

levels! {
    /// Everything between two field separators.
    Field
    /// One value of a field.
    Repetition
    Component
    Subcomponent
}

impl<'t> Field<'t> {
    /// Its values; an empty field has one, which is empty.
    pub fn repetitions(&self) -> impl Iterator<Item = Repetition<'t>> + use<'t> {
        self.0.split(self.0.delimiters.repetition).map(Repetition)
    }

    /// A value by its number, counted from one.
    pub fn repetition(&self, number: usize) -> Option<Repetition<'t>> {
        self.repetitions().nth(number.checked_sub(1)?)
    }

    /// A component of the first value.
    pub fn component(&self, number: usize) -> Option<Component<'t>> {
        self.repetition(1)?.component(number)
    }
}

impl<'t> Repetition<'t> {
    pub fn components(&self) -> impl Iterator<Item = Component<'t>> + use<'t> {
        self.0.split(self.0.delimiters.component).map(Component)
    }

    pub fn component(&self, number: usize) -> Option<Component<'t>> {
        self.components().nth(number.checked_sub(1)?)
    }
}

impl<'t> Component<'t> {
    pub fn subcomponents(&self) -> impl Iterator<Item = Subcomponent<'t>> + use<'t> {
        self.0
            .split(self.0.delimiters.subcomponent)
            .map(Subcomponent)
    }

    pub fn subcomponent(&self, number: usize) -> Option<Subcomponent<'t>> {
        self.subcomponents().nth(number.checked_sub(1)?)
    }
}
