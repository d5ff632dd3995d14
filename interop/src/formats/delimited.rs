//! Delimited text: CSV, TSV, PSV and columns of fixed width. <https://www.rfc-editor.org/rfc/rfc4180>
//!
//! Our own reader and not the `csv` crate: a quote that nobody closes must cost one row and not the rest of the file, and
//! every row must know its line and its bytes, so that it can come back with the reason why it did not go in.

mod charset;
mod convert;
mod converter;
mod dialect;
mod records;
mod row;
mod write;

pub use charset::Charset;
pub use convert::{BadRow, Columns, Header, HeaderError, Outcome, Rows};
pub use converter::{Converter, NoRows, Reading, Unready};
pub use dialect::{Dialect, Layout};
pub use records::{RECORD_BYTES_MAX, Record, Records, RowError};
pub use row::{RowSource, TableSchema};
pub use write::{BadRows, REASON, RowSink, write_row};
