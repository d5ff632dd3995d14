//! What FHIR lets a client ask of a server, in FHIR's words; nothing here knows HTTP.
//! <https://hl7.org/fhir/R4/http.html>

pub mod capabilities;
pub mod create;
pub mod read;
pub mod vread;

/// What this server does. Routes and the CapabilityStatement are both read from here.
pub const ALL: &[Interaction] = &[Interaction::Create, Interaction::Read, Interaction::Vread];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interaction {
    Create,
    Read,
    Vread,
}

/// What an interaction is addressed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Type,
    Instance,
    Version,
}

impl Interaction {
    /// <https://hl7.org/fhir/R4/valueset-type-restful-interaction.html>
    pub fn code(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Vread => "vread",
        }
    }

    pub fn level(self) -> Level {
        match self {
            Self::Create => Level::Type,
            Self::Read => Level::Instance,
            Self::Vread => Level::Version,
        }
    }
}
