//! All that interop wants from the world: somebody who takes what was translated, whole or not at all.

use fhir_spec::Issue;

use crate::mapping::Entry;

/// What one message, file or row became, on its way to the store.
#[derive(Debug, Clone)]
pub struct Submission {
    /// Linked among themselves by their full urls.
    pub entries: Vec<Entry>,
    /// The loss report: what was not carried, what had to be assumed. Errors are not among them: who has any is refused
    /// before.
    pub issues: Vec<Issue>,
    pub origin: Origin,
}

/// Where a submission came from: what its Provenance tells, and what tells an old snapshot from a new one.
/// What the format does not know is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// `hl7v2`, `delimited`, `ccda` ...
    pub format: String,
    /// The route it came by.
    pub route: String,
    /// MSH-3 and MSH-4.
    pub sender_application: String,
    pub sender_facility: String,
    /// MSH-10, or the name and line of a file.
    pub control_id: String,
    /// Type, event and structure as MSH-9 writes them: `ADT^A08^ADT_A01`. Of a file the name of its map.
    pub kind: String,
    /// When what it says was so, in microseconds since 1970 UTC: of two snapshots the later one holds.
    pub event_time_us: Option<i64>,
    /// The message as it is kept, by its id under `/api/messages`.
    pub message_id: String,
    /// The version of the maps that read it.
    pub pack: String,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// It is on disk, all of it.
    Applied(Applied),
    /// Nothing was changed, and sending it again as it is does not help.
    Refused(Vec<Issue>),
    /// Nothing was changed, through no fault of the sender: it may be sent again. The reason is for people.
    Unable(String),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    pub touched: Vec<Touched>,
    /// What the store had to say: stale parts that were left out, say.
    pub issues: Vec<Issue>,
}

/// A resource of a submission, and what was done to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    pub resource_type: String,
    pub id: String,
    /// The version that it has now.
    pub version: u64,
    pub effect: Effect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    Created,
    Updated,
    Deleted,
    /// It said what was known already.
    Unchanged,
    /// It was older than what is known.
    Stale,
}

impl Effect {
    pub const ALL: &[Self] = &[
        Self::Created,
        Self::Updated,
        Self::Deleted,
        Self::Unchanged,
        Self::Stale,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Unchanged => "unchanged",
            Self::Stale => "stale",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|effect| effect.name() == name)
    }
}

/// The world, as interop sees it.
pub trait Host {
    /// Takes a submission, whole or not at all. `Applied` means that it is on disk, and with it `answer`: what is to be said
    /// to the sender then, so that who asks again hears the same.
    fn accept(
        &self,
        submission: Submission,
        answer: Vec<String>,
    ) -> impl Future<Output = Receipt> + Send;
}
