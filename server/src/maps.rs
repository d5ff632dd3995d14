//! The maps that there are: those that Kiln brings along, and files of the operator beside them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fhir_spec::definitions::Definitions;
use fhir_spec::{Issue, IssueCode};
use interop::formats::delimited::TableSchema;
use interop::formats::hl7v2::Dictionary;
use interop::formats::{Format, cda, delimited, hl7v2};
use interop::mapping::{
    BadMap, CDA, DELIMITED, HL7V2, HL7V2_OUT, Pack, Problem, Zone, parse, shipped, shipped_cda,
    shipped_hl7v2, shipped_hl7v2_out,
};

use crate::limits;

/// How files of maps end.
const ENDING: &str = "map";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {0}")]
    Read(PathBuf, #[source] io::Error),
    #[error("{0} has more than {max} bytes", max = limits::MAP_BYTES_MAX)]
    TooLarge(PathBuf),
    #[error(transparent)]
    Map(#[from] BadMap),
    #[error("the maps of Kiln cannot be used")]
    Shipped(#[from] hl7v2::convert::NoMaps),
}

/// Maps for tables, for messages that come in and go out, and for clinical documents.
#[derive(Debug, Clone)]
pub struct Maps {
    tables: Arc<Pack>,
    messages: Arc<Pack>,
    out: Arc<Pack>,
    documents: Arc<Pack>,
}

/// A map as it is listed.
#[derive(Debug)]
pub struct Listed {
    pub name: String,
    pub format: &'static str,
    /// The messages that it serves, or the columns that it knows; a `?` says that one may be missing.
    pub serves: Vec<String>,
    /// Its constants; one without a value must be given one.
    pub constants: Vec<(String, Option<String>)>,
}

impl Maps {
    pub fn shipped() -> Result<Self, BadMap> {
        Ok(Self {
            tables: Arc::clone(shipped()?),
            messages: Arc::clone(shipped_hl7v2()?),
            out: Arc::clone(shipped_hl7v2_out()?),
            documents: Arc::clone(shipped_cda()?),
        })
    }

    /// With files, and those in folders, that end in `.map`.
    pub fn with_files(paths: &[PathBuf]) -> Result<Self, Error> {
        if paths.is_empty() {
            return Ok(Self::shipped()?);
        }
        let mut own = Vec::new();
        for path in paths {
            read(path, &mut own)?;
        }
        // A file that is wrong is wrong in all packs: it is told once.
        let own = || {
            own.iter()
                .map(|(name, text)| (name.as_str(), text.as_str()))
        };
        Ok(Self {
            tables: Pack::read(DELIMITED.iter().copied().chain(own()))?.into(),
            messages: Pack::read(HL7V2.iter().copied().chain(own()))?.into(),
            out: Pack::read(HL7V2.iter().chain(HL7V2_OUT).copied().chain(own()))?.into(),
            documents: Pack::read(CDA.iter().copied().chain(own()))?.into(),
        })
    }

    /// These maps with an overlay over them, and what of it had nothing to change. An overlay names its map; what names
    /// none, such as a code table by itself, goes over all.
    pub fn overlaid(&self, name: &str, text: &str) -> Result<(Self, Vec<Problem>), BadMap> {
        let (file, problems) = parse(name, text);
        if !problems.is_empty() {
            return Err(BadMap(problems));
        }
        let bases: Vec<&str> = file
            .overlays
            .iter()
            .map(|overlay| overlay.base.text.as_str())
            .collect();
        let is_about =
            |pack: &Pack| bases.is_empty() || pack.maps().any(|(map, _)| bases.contains(&map));
        let mut gone = Vec::new();
        let mut lay = |pack: &Pack| -> Result<Arc<Pack>, BadMap> {
            let laid = pack.with_overlay(name, text)?;
            gone.extend(laid.gone);
            Ok(Arc::new(laid.pack))
        };
        // What names a map that nobody knows is told so by one of them.
        let is_outward = !file.out_overlays.is_empty() || !file.out_parts.is_empty();
        let is_of_others = is_about(&self.tables) || is_about(&self.documents) || is_outward;
        let out = match is_outward {
            true => lay(&self.out)?,
            false => Arc::clone(&self.out),
        };
        let messages = match (is_about(&self.messages) && !is_outward) || !is_of_others {
            true => lay(&self.messages)?,
            false => Arc::clone(&self.messages),
        };
        let mut lay_where_meant = |pack: &Arc<Pack>| match is_about(pack) {
            true => lay(pack),
            false => Ok(Arc::clone(pack)),
        };
        let laid = Self {
            messages,
            out,
            tables: lay_where_meant(&self.tables)?,
            documents: lay_where_meant(&self.documents)?,
        };
        Ok((laid, gone))
    }

    /// Compiles every map that an overlay changes: those that it names, and all when it names none.
    pub fn check(&self, name: &str, text: &str) -> Result<(), BadMap> {
        let (file, _) = parse(name, text);
        let is_meant = |map: &str| {
            file.overlays.is_empty() || file.overlays.iter().any(|overlay| overlay.base.text == map)
        };
        let dictionary = Dictionary::shipped();
        let definitions = Definitions::r4();
        let mut problems = Vec::new();
        for listed in self.list().iter().filter(|listed| is_meant(&listed.name)) {
            let map = listed.name.as_str();
            let compiled = match Format::named(listed.format) {
                Some(Format::Csv) => {
                    let schema = TableSchema::new(self.tables.columns(map));
                    self.tables.compile(map, &schema, definitions)
                }
                Some(Format::Cda) => {
                    self.documents
                        .compile(map, &cda::CdaSchema::new(), definitions)
                }
                _ => {
                    let serves: Vec<&str> = listed.serves.iter().map(String::as_str).collect();
                    let schema = dictionary
                        .as_ref()
                        .ok()
                        .and_then(|known| hl7v2::convert::schema_of(known, map, &serves));
                    match schema {
                        Some(schema) => self.messages.compile(map, &schema, definitions),
                        None => continue,
                    }
                }
            };
            if let Err(bad) = compiled {
                problems.extend(bad.0);
            }
        }
        if !file.out_overlays.is_empty() || !file.out_parts.is_empty() {
            problems.extend(self.check_outward().err().into_iter().flat_map(|bad| bad.0));
        }
        problems.dedup();
        match problems.is_empty() {
            true => Ok(()),
            false => Err(BadMap(problems)),
        }
    }

    /// Compiles the definitions of messages that go out.
    fn check_outward(&self) -> Result<(), BadMap> {
        use hl7v2::emit::{Speaker, Unready, Unspoken};
        let speaker = Speaker::new(Arc::clone(&self.out), Zone::utc(), &[]);
        match speaker.map(|speaker| speaker.check()) {
            Ok(Err(Unspoken::Unready(_, Unready::Map(bad)))) => Err(bad),
            _ => Ok(()),
        }
    }

    pub fn list(&self) -> Vec<Listed> {
        let messages = self.messages.serving(Format::Hl7v2.name());
        let messages = messages.map(|(name, serves)| Listed {
            name: name.to_owned(),
            format: Format::Hl7v2.name(),
            serves: serves.into_iter().map(str::to_owned).collect(),
            constants: self.messages.constants(name),
        });
        let tables = self.tables.serving(Format::Csv.name());
        let tables = tables.map(|(name, _)| Listed {
            name: name.to_owned(),
            format: Format::Csv.name(),
            serves: self
                .tables
                .columns(name)
                .into_iter()
                .map(str::to_owned)
                .collect(),
            constants: self.tables.constants(name),
        });
        let documents = self.documents.serving(Format::Cda.name());
        let documents = documents.map(|(name, serves)| Listed {
            name: name.to_owned(),
            format: Format::Cda.name(),
            serves: serves.into_iter().map(str::to_owned).collect(),
            constants: self.documents.constants(name),
        });
        messages.chain(documents).chain(tables).collect()
    }

    /// Whether some map takes a constant of that name.
    pub fn has_constant(&self, name: &str) -> bool {
        let packs = [&self.tables, &self.messages, &self.out, &self.documents];
        packs.iter().any(|pack| pack.has_constant(name))
    }

    /// The maps ready for files and messages of one sender.
    pub fn translator(
        &self,
        zone: &Zone,
        constants: &[(String, String)],
    ) -> Result<Translator, Error> {
        Ok(Translator {
            tables: delimited::Converter::new(Arc::clone(&self.tables), zone.clone(), constants),
            messages: hl7v2::convert::Converter::new(
                Arc::clone(&self.messages),
                zone.clone(),
                constants,
            )?,
            documents: cda::Converters::new(Arc::clone(&self.documents), zone.clone(), constants),
            speaker: hl7v2::emit::Speaker::new(Arc::clone(&self.out), zone.clone(), constants)?,
        })
    }
}

/// Maps with what a sender's messages do not say: zone and constants.
#[derive(Debug)]
pub struct Translator {
    pub tables: delimited::Converter,
    pub messages: hl7v2::convert::Converter,
    pub documents: cda::Converters,
    pub speaker: hl7v2::emit::Speaker,
}

/// What is wrong with a map, each with its place.
pub fn issues(bad: &BadMap) -> Vec<Issue> {
    let issue = |problem: &Problem| {
        let at = &problem.at;
        Issue::error(IssueCode::Invalid, problem.to_string()).placed((at.line, at.column))
    };
    bad.0.iter().map(issue).collect()
}

fn read(path: &Path, into: &mut Vec<(String, String)>) -> Result<(), Error> {
    let failed = |error| Error::Read(path.to_owned(), error);
    let is = fs::metadata(path).map_err(failed)?;
    if is.is_dir() {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_file() && path.extension().is_some_and(|ending| ending == ENDING) {
                entries.push(path);
            }
        }
        entries.sort();
        return entries.iter().try_for_each(|path| read(path, into));
    }
    if is.len() > limits::MAP_BYTES_MAX {
        return Err(Error::TooLarge(path.to_owned()));
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    into.push((path.display().to_string(), text));
    Ok(())
}
