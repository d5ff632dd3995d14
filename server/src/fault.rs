//! Trouble as it is answered: one table of kinds, and the one place where every error of the server becomes one of them.

use std::error::Error;

use fhir_spec::{Issue, IssueCode, Severity};
use tracing::Level;

use crate::auth::Forbidden;
use crate::store;

/// One row of the table.
#[derive(Debug)]
pub struct Row {
    pub kind: Kind,
    pub status: u16,
    pub code: IssueCode,
    /// By what the operator must do: ERROR look into it, WARN watch it, DEBUG nothing (the caller has it in hand).
    pub level: Level,
    /// What the caller should do.
    pub remedy: &'static str,
}

macro_rules! table {
    ($($kind:ident $status:literal $code:ident $level:ident $remedy:literal;)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind { $($kind),+ }

        impl Kind {
            pub fn row(self) -> &'static Row {
                match self {
                    $(Self::$kind => &Row {
                        kind: Kind::$kind,
                        status: $status,
                        code: IssueCode::$code,
                        level: Level::$level,
                        remedy: $remedy,
                    }),+
                }
            }

            pub const ALL: &[Self] = &[$(Self::$kind),+];
        }
    };
}

table! {
    Malformed        400 Structure    DEBUG "correct the document: the place is named";
    WrongParameter   400 Value        DEBUG "correct the parameter: what it takes is named";
    WrongType        400 Invalid      DEBUG "send the resource to the address of its type";
    WrongId          400 Invalid      DEBUG "let the id of the document be that of the address";
    Unauthorized     401 Login        DEBUG "show a token or a key that holds";
    Forbidden        403 Forbidden    DEBUG "ask for the right to do this";
    UnknownType      404 NotSupported DEBUG "use a resource type of FHIR R4: the metadata lists them";
    UnknownPath      404 NotSupported DEBUG "see the metadata for what this server offers";
    NotFound         404 NotFound     DEBUG "check the id";
    MethodNotAllowed 405 NotSupported DEBUG "use one of the methods in the Allow header";
    NotAcceptable    406 NotSupported DEBUG "ask for application/fhir+json";
    BodyTimeout      408 Timeout      DEBUG "send the body faster";
    Conflict         409 Conflict     DEBUG "read the current state, then decide again";
    Deleted          410 Deleted      DEBUG "the resource was deleted: use another";
    PreconditionFailed 412 Conflict   DEBUG "read the current version, then decide again";
    SeveralMatches   412 MultipleMatches DEBUG "make the criteria find one resource";
    BodyTooLarge     413 TooLong      DEBUG "send less at a time";
    TargetTooLong    414 TooLong      DEBUG "send a shorter address";
    UnsupportedMedia 415 NotSupported DEBUG "send application/fhir+json";
    Unprocessable    422 Invalid      DEBUG "correct the resource: every problem is named";
    Throttled        429 Throttled    DEBUG "come more slowly";
    HeadersTooLarge  431 TooLong      DEBUG "send fewer or shorter headers";
    Internal         500 Exception    ERROR "tell the operator the request id";
    NotImplemented   501 NotSupported DEBUG "leave out what is not supported";
    TooCostly        503 TooCostly    WARN  "ask for less at a time";
    Disagreement     503 Transient    ERROR "start all nodes with the same packages and version of Kiln";
    Unavailable      503 Transient    WARN  "try again in a moment";
    NotReady         503 Incomplete   DEBUG "ask again later: the index is being made ready for this";
    Unsure           503 Incomplete   ERROR "read back what you wrote before trying again";
    Full             507 NoStore      ERROR "make room: until then everything can be read and nothing written";
}

/// Trouble on its way to the caller.
#[derive(Debug)]
pub struct Fault {
    pub kind: Kind,
    pub issues: Vec<Issue>,
    /// For the log, never for the caller.
    pub source: Option<Box<dyn Error + Send + Sync>>,
    /// Of a method that does not apply: those that do.
    pub allow: Option<String>,
}

impl Fault {
    /// `diagnostics` is shown to the caller.
    pub fn new(kind: Kind, diagnostics: impl Into<String>) -> Self {
        Self {
            kind,
            issues: vec![Issue::new(Severity::Error, kind.row().code, diagnostics)],
            source: None,
            allow: None,
        }
    }

    pub fn of_issues(kind: Kind, issues: Vec<Issue>) -> Self {
        Self {
            kind,
            issues,
            source: None,
            allow: None,
        }
    }

    /// Of criteria that cannot be answered: some may be later.
    pub fn of_query(issues: Vec<Issue>) -> Self {
        let is_wrong = |issue: &Issue| issue.code != IssueCode::Incomplete;
        let kind = match issues.iter().any(is_wrong) {
            true => Kind::WrongParameter,
            false => Kind::NotReady,
        };
        Self::of_issues(kind, issues)
    }

    /// Something that should not have happened. The caller learns nothing of it but that it did.
    pub fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Kind::Internal, "something went wrong inside the server").because(source)
    }

    /// Whether it came of a panic, here or in the store.
    pub fn is_panic(&self) -> bool {
        self.source.as_ref().is_some_and(|source| {
            source.is::<Panicked>() || matches!(source.downcast_ref(), Some(store::Error::Panicked))
        })
    }

    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

/// The work has panicked. What it said is for nobody: it may hold data.
#[derive(Debug, thiserror::Error)]
#[error("the work panicked")]
pub struct Panicked;

impl From<Panicked> for Fault {
    fn from(panicked: Panicked) -> Self {
        Self::internal(panicked)
    }
}

impl From<Forbidden> for Fault {
    fn from(error: Forbidden) -> Self {
        Self::new(Kind::Forbidden, "you may not do this").because(error)
    }
}

impl From<store::Error> for Fault {
    fn from(error: store::Error) -> Self {
        use store::Error as E;
        let told = |kind, diagnostics: &str| Self::new(kind, diagnostics);
        let fault = match &error {
            E::NoConnection { wait_ms } => told(
                Kind::Unavailable,
                &format!(
                    "no connection to the database came free within {wait_ms} ms (connection_wait_ms)"
                ),
            ),
            E::TooSlow(_) => told(
                Kind::TooCostly,
                "the database would work on this for longer than it may (statement_ms): ask for less at a time, or add a criterion that finds few",
            ),
            E::OutOfReach => told(Kind::Forbidden, "you may not do this"),
            E::QueueFull | E::Contended(_) => told(
                Kind::Unavailable,
                "the server has more to do than it can: nothing was written",
            ),
            E::Unreachable(_) | E::Closed | E::Group(_) | E::ReadOnly => told(
                Kind::Unavailable,
                "the database is not available at the moment: nothing was written",
            ),
            E::Unsure(_) => told(
                Kind::Unsure,
                "the connection to the database was lost at the last moment: this may or may not have been written",
            ),
            E::Full(_) => told(
                Kind::Full,
                "there is no room left on the disk of the database: nothing was written",
            ),
            E::Parameters(issues) => Self::of_issues(Kind::Unprocessable, issues.clone()),
            E::Disagrees => told(
                Kind::Disagreement,
                "another node of this cluster makes the search index by other definitions: nothing was written",
            ),
            E::Taken(_) => told(Kind::Conflict, "another write got there first"),
            _ => return Self::internal(error),
        };
        fault.because(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_ordered_by_status_and_holds_errors_only() {
        let statuses: Vec<u16> = Kind::ALL.iter().map(|kind| kind.row().status).collect();
        assert!(statuses.is_sorted());
        assert!(statuses.iter().all(|status| (400..600).contains(status)));
        for kind in Kind::ALL {
            assert_eq!(kind.row().kind, *kind);
        }
    }

    #[test]
    fn what_the_server_does_not_understand_is_its_own_fault_and_keeps_its_text_to_itself() {
        let fault = Fault::from(store::Error::Migrate("secret".into()));
        assert_eq!(fault.kind, Kind::Internal);
        assert!(!format!("{:?}", fault.issues).contains("secret"));
        assert!(fault.source.is_some());
    }

    #[test]
    fn errors_of_the_parts_find_their_row() {
        let kind = |error: store::Error| Fault::from(error).kind;
        assert_eq!(kind(store::Error::QueueFull), Kind::Unavailable);
        assert_eq!(
            kind(store::Error::Group("full".to_owned())),
            Kind::Unavailable
        );
        assert_eq!(kind(store::Error::Full("full".into())), Kind::Full);
        assert_eq!(kind(store::Error::NotPermitted), Kind::Internal);
        assert_eq!(
            kind(store::Error::NoConnection { wait_ms: 1 }),
            Kind::Unavailable
        );
        let cause = || diesel::result::Error::NotFound;
        assert_eq!(kind(store::Error::Taken(cause())), Kind::Conflict);
        assert_eq!(kind(store::Error::Unsure(cause())), Kind::Unsure);
        assert_eq!(kind(store::Error::Disagrees), Kind::Disagreement);
        assert_eq!(
            kind(store::Error::Parameters(Vec::new())),
            Kind::Unprocessable
        );
        let incomplete = Issue::error(IssueCode::Incomplete, "");
        let wrong = Issue::error(IssueCode::Value, "");
        let of_query = |issues: &[Issue]| Fault::of_query(issues.to_vec()).kind;
        assert_eq!(of_query(std::slice::from_ref(&incomplete)), Kind::NotReady);
        assert_eq!(of_query(&[incomplete, wrong]), Kind::WrongParameter);
        let refused = Forbidden(crate::auth::Action::Read("Patient"));
        assert_eq!(Fault::from(refused).kind, Kind::Forbidden);
    }
}
