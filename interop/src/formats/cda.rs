//! Clinical documents (CDA R2, C-CDA): bytes to a compact tree, and the tree to the mapping engine.
//! <https://www.hl7.org/implement/standards/product_brief.cfm?product_id=7>
//!
//! **Reading.** [`decode`] finds out the encoding, [`Document::read`] makes the tree, which is offsets into that text: nothing
//! is copied. What is no XML, or hostile XML, is [`Unreadable`]: no document type, no entities but those of XML, bounds on
//! depth, elements, attributes and bytes.
//!
//! **Asking.** [`CdaSchema`] knows the classes of CDA and the templates of C-CDA and checks the paths of maps;
//! [`DocumentSource`] walks them. The plain value of an element is what it says in one word: the text, the text of the
//! narrative that it refers to, or `value`, `code`, `extension` where the class has such; a nullFlavor alone is null.
//!
//! **Converting.** [`Converter`] runs the shipped map, or another, and makes each resource findable again; [`Converters`] are all
//! maps of a pack.
//!
//! **Writing.** [`Writer`] makes a document of a Bundle, by the templates in `interop/maps/cda-out`.

mod convert;
mod converters;
mod decode;
mod header;
mod model;
mod narrative;
mod reader;
mod schema;
mod source;
mod tree;
mod write;

pub use convert::{BadConverter, Converted, Converter};
pub use converters::{Converters, NoConverter};
pub use decode::decode;
pub use header::{DocumentId, Header};
pub use reader::Unreadable;
pub use schema::CdaSchema;
pub use source::{DocumentSource, Node};
pub use tree::Document;
pub use write::{BadTemplate, Wanted, Writer, Written};

/// Bytes of a document.
pub const DOCUMENT_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Elements of a document: one of 30 MB has half a million.
pub const ELEMENTS_MAX: usize = 2_000_000;
/// Statements of a document, each of which may become a resource: one of 30 MB has less than half of them.
pub const STATEMENTS_MAX: usize = 100_000;
/// Sections of a document; real ones have less than fifty.
pub const SECTIONS_MAX: usize = 10_000;
/// Elements within elements; real ones nest less than fifty deep.
pub const DEPTH_MAX: usize = 200;
/// Attributes of an element; a root that declares every namespace it ever heard of has twenty.
pub const ATTRIBUTES_MAX: usize = 64;
/// Bytes of a tag with its attributes.
pub const TAG_BYTES_MAX: usize = 64 * 1024;

/// Offsets are kept in four bytes: a document is never larger than that allows.
fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

fn wide(offset: u32) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
