//! Files through the maps of a pack: the map is named, or found by the columns of the file. A map is compiled when the first
//! file asks for it.

use std::io::Read;
use std::sync::{Arc, OnceLock};

use fhir_spec::definitions::Definitions;

use super::charset::Charset;
use super::convert::{Columns, HeaderError, Rows};
use super::dialect::Dialect;
use super::row::TableSchema;
use crate::formats::Format;
use crate::mapping::{BadMap, BadSettings, Pack, Runner, Zone};

/// The maps for tables, with what a route or a caller says: zone and constants.
#[derive(Debug)]
pub struct Converter {
    pack: Arc<Pack>,
    zone: Zone,
    constants: Vec<(String, String)>,
    maps: Vec<Ready>,
}

#[derive(Debug)]
struct Ready {
    name: String,
    columns: Columns,
    runner: OnceLock<Result<Runner, Unready>>,
}

/// Why a map cannot run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unready {
    #[error(transparent)]
    Map(#[from] BadMap),
    #[error(transparent)]
    Settings(#[from] BadSettings),
}

/// What is told of a file; the rest is found out.
#[derive(Debug, Clone, Default)]
pub struct Reading<'m> {
    pub map: Option<&'m str>,
    pub charset: Option<Charset>,
    pub dialect: Option<Dialect>,
}

/// Why no row of a file can be read.
#[derive(Debug, thiserror::Error)]
pub enum NoRows {
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("no map fits the columns {}: name one", .0.join(", "))]
    NoMap(Vec<String>),
    #[error("several maps fit these columns: name one of {}", .0.join(", "))]
    Several(Vec<String>),
    #[error("there is no map {0} for tables")]
    Unknown(String),
    #[error("a file without a header needs the name of a map")]
    Nameless,
    #[error("the map {0} cannot be used: {1}")]
    Unready(String, #[source] Unready),
}

impl Converter {
    /// `constants`: values by name; each map takes those that it has.
    pub fn new(pack: impl Into<Arc<Pack>>, zone: Zone, constants: &[(String, String)]) -> Self {
        let pack = pack.into();
        let is_table = |(_, format): &(&str, &str)| *format == Format::Csv.name();
        let maps = pack.maps().filter(is_table).map(|(name, _)| Ready {
            name: name.to_owned(),
            columns: Columns::new(pack.columns(name)),
            runner: OnceLock::new(),
        });
        Self {
            maps: maps.collect(),
            pack,
            zone,
            constants: constants.to_vec(),
        }
    }

    pub fn pack(&self) -> &Pack {
        &self.pack
    }

    /// Opens a file: what is not told about it is found out.
    pub fn open<R: Read>(&self, input: R, reading: Reading<'_>) -> Result<Rows<'_, R>, NoRows> {
        let Reading {
            map,
            charset,
            dialect,
        } = reading;
        Rows::open_by(input, charset, dialect, |header| {
            let ready = match (map, header) {
                (Some(name), _) => {
                    let found = self.maps.iter().find(|ready| ready.name == name);
                    found.ok_or_else(|| NoRows::Unknown(name.to_owned()))?
                }
                (None, Some(header)) => self.find(header)?,
                (None, None) => return Err(NoRows::Nameless),
            };
            Ok((self.runner(ready)?, &ready.columns))
        })
    }

    /// The runner of a map, for rows from elsewhere and for the way back.
    pub fn named(&self, map: &str) -> Result<&Runner, NoRows> {
        let ready = self.maps.iter().find(|ready| ready.name == map);
        self.runner(ready.ok_or_else(|| NoRows::Unknown(map.to_owned()))?)
    }

    fn runner<'c>(&'c self, ready: &'c Ready) -> Result<&'c Runner, NoRows> {
        let runner = ready.runner.get_or_init(|| self.compile(&ready.name));
        let failed = |unready: &Unready| NoRows::Unready(ready.name.clone(), unready.clone());
        runner.as_ref().map_err(failed)
    }

    /// The map that knows most of the columns, of those that miss none.
    fn find(&self, header: &[String]) -> Result<&Ready, NoRows> {
        let fits = |ready: &Ready| ready.columns.fit(header);
        let best = self.maps.iter().filter_map(fits).max();
        let mut all = self
            .maps
            .iter()
            .filter(|ready| best.is_some() && fits(ready) == best);
        match (all.next(), all.next()) {
            (Some(ready), None) => Ok(ready),
            (Some(first), Some(second)) => {
                let rest = all.map(|ready| ready.name.clone());
                let named = [first.name.clone(), second.name.clone()].into_iter();
                Err(NoRows::Several(named.chain(rest).collect()))
            }
            (None, _) => Err(NoRows::NoMap(header.to_vec())),
        }
    }

    fn compile(&self, map: &str) -> Result<Runner, Unready> {
        let schema = TableSchema::new(self.pack.columns(map));
        let plan = self.pack.compile(map, &schema, Definitions::r4())?;
        let known = |(name, _): &&(String, String)| plan.constants().any(|known| known == name);
        let constants: Vec<(&str, &str)> = self
            .constants
            .iter()
            .filter(known)
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        Ok(Runner::new(Arc::new(plan), self.zone.clone(), &constants)?)
    }
}
