//! The files of an export, packed or not.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;

use crate::cli::draft::{Draft, Error};

/// For compressors: enough that a call to them is worth it.
const BUFFER_BYTES: usize = 256 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Packing {
    #[value(skip)]
    None,
    Gz,
    Zst,
}

impl Packing {
    /// By the ending of the file's name. None: it is not the name of such a file.
    pub(super) fn of_file(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        [Self::None, Self::Gz, Self::Zst]
            .into_iter()
            .find(|packing| name.ends_with(&packing.name(".ndjson")))
    }

    pub(super) fn name(self, name: &str) -> String {
        let ending = match self {
            Self::None => "",
            Self::Gz => ".gz",
            Self::Zst => ".zst",
        };
        format!("{name}{ending}")
    }
}

/// Where the lines go.
pub(super) struct Sink {
    path: PathBuf,
    out: Out,
}

enum Out {
    Stdout(BufWriter<std::io::Stdout>),
    Plain(BufWriter<Draft>),
    Gz(BufWriter<GzEncoder<Draft>>),
    Zst(BufWriter<zstd::Encoder<'static, Draft>>),
}

impl Sink {
    pub(super) fn stdout() -> Self {
        Self {
            path: PathBuf::from("standard output"),
            out: Out::Stdout(BufWriter::with_capacity(BUFFER_BYTES, std::io::stdout())),
        }
    }

    pub(super) fn create(path: &Path, packing: Packing) -> Result<Self, Error> {
        let draft = Draft::create(path)?;
        let out = match packing {
            Packing::None => Out::Plain(BufWriter::with_capacity(BUFFER_BYTES, draft)),
            Packing::Gz => Out::Gz(BufWriter::with_capacity(
                BUFFER_BYTES,
                GzEncoder::new(draft, flate2::Compression::default()),
            )),
            Packing::Zst => {
                let encoder = zstd::Encoder::new(draft, zstd::DEFAULT_COMPRESSION_LEVEL)
                    .map_err(Error::of(path))?;
                Out::Zst(BufWriter::with_capacity(BUFFER_BYTES, encoder))
            }
        };
        Ok(Self {
            path: path.to_owned(),
            out,
        })
    }

    pub(super) fn line(&mut self, text: &[u8]) -> Result<(), Error> {
        let out: &mut dyn Write = match &mut self.out {
            Out::Stdout(out) => out,
            Out::Plain(out) => out,
            Out::Gz(out) => out,
            Out::Zst(out) => out,
        };
        out.write_all(text)
            .and_then(|()| out.write_all(b"\n"))
            .map_err(Error::of(&self.path))
    }

    /// The file is complete.
    pub(super) fn close(self) -> Result<(), Error> {
        let failed = Error::of(&self.path);
        match self.out {
            Out::Stdout(mut out) => return out.flush().map_err(failed),
            Out::Plain(out) => out
                .into_inner()
                .map_err(|error| failed(error.into_error()))?,
            Out::Gz(out) => {
                let encoder = out
                    .into_inner()
                    .map_err(|error| failed(error.into_error()))?;
                encoder.finish().map_err(failed)?
            }
            Out::Zst(out) => {
                let encoder = out
                    .into_inner()
                    .map_err(|error| failed(error.into_error()))?;
                encoder.finish().map_err(failed)?
            }
        }
        .finish()
    }
}

/// Whether a file bears a name that exports give.
pub(super) fn is_ours(path: &Path) -> bool {
    let unfinished = path.extension().is_some_and(|ending| ending == "partial");
    let named = if unfinished {
        path.with_extension("")
    } else {
        path.to_owned()
    };
    Packing::of_file(&named).is_some()
}
