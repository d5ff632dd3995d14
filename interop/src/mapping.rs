//! Maps are data: one engine runs the rows of text files for every format, both ways where a row inverts, and says what it
//! could not carry. The notation is taught in `interop/maps/README.md`.
//!
//! Text is read once: [`parse`] makes rows of it, [`compile`] a [`Plan`] whose every path is checked; a [`Runner`] runs the
//! plan over whatever is a [`source::Source`]. Pure: time, zone and constants are handed in.

mod bundle;
mod compile;
mod env;
mod error;
pub mod functions;
mod include;
mod lex;
mod loss;
mod outward;
mod overlay;
mod pack;
mod parse;
mod plan;
mod reverse;
pub mod row;
mod run;
mod shipped;
pub mod source;
mod stamp;
mod trace;
mod value;

pub use bundle::bundle;
pub use env::{BadZone, Env, Zone};
pub use error::{BadMap, Problem};
pub use loss::{LOSSES_MAX, Note};
pub use outward::{Asked, Change, Emitted, Left, Library, OutPlan, Outgoing, Page, Wanted};
pub use overlay::Laid;
pub use pack::Pack;
pub use parse::{DEPTH_MAX, parse, parse_row};
pub use plan::{Plan, RowInfo};
pub use reverse::NotCarried;
pub use run::{BadSettings, Entry, Mapped, Occasion, Request, Runner};
pub use shipped::{
    CDA, DELIMITED, HL7V2, HL7V2_OUT, shipped, shipped_cda, shipped_hl7v2, shipped_hl7v2_out,
};
pub use stamp::Stamp;
pub use trace::Traced;
