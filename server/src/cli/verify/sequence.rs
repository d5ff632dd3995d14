//! Versions of a resource against each other, and against what says which one is current.

use super::body::named;
use crate::store::{Change, VersionRow};

/// Takes versions resource by resource, in their order.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    /// The version before, without its body.
    last: Option<VersionRow>,
}

impl Sequence {
    pub(super) fn check(&mut self, row: VersionRow, add: &impl Fn(String)) {
        let last = self.last.take();
        match last {
            Some(last) if last.rid == row.rid => follows(&last, &row, add),
            last => {
                if let Some(last) = last {
                    is_current(&last, add);
                }
                begins(&row, add);
            }
        }
        self.last = Some(row);
    }

    pub(super) fn finish(&mut self, add: &impl Fn(String)) {
        if let Some(last) = self.last.take() {
            is_current(&last, add);
        }
    }
}

fn begins(row: &VersionRow, add: &impl Fn(String)) {
    let name = named(row);
    if row.version != 1 {
        add(format!("{name}: no version comes before it"));
    } else if row.key != row.rid {
        add(format!(
            "{name}: the resource is not numbered by its first version"
        ));
    }
    let begins = [Change::Created, Change::Placed].map(Change::number);
    if !begins.contains(&row.change) {
        add(format!(
            "{name}: a resource cannot begin with change {}",
            row.change
        ));
    }
}

fn follows(last: &VersionRow, row: &VersionRow, add: &impl Fn(String)) {
    let name = named(row);
    if (&row.resource_type, &row.id) != (&last.resource_type, &last.id) {
        add(format!(
            "{name}: it is counted among the versions of {}/{}",
            last.resource_type, last.id
        ));
    }
    if row.version != last.version + 1 {
        add(format!("{name}: version {} comes before it", last.version));
    }
    if row.at < last.at {
        add(format!("{name}: it is older than the version before it"));
    }
    if (row.xact, row.key) <= (last.xact, last.key) {
        add(format!(
            "{name}: in the feed it stands before the version before it"
        ));
    }
    let was_deleted = last.change == Change::Deleted.number();
    let is_sound = match Change::of_number(row.change) {
        Some(Change::Updated | Change::Deleted) => !was_deleted,
        Some(Change::Placed) => was_deleted,
        Some(Change::Created) | None => false,
    };
    if !is_sound {
        add(format!(
            "{name}: change {} cannot follow change {}",
            row.change, last.change
        ));
    }
}

/// The newest version is the current one.
fn is_current(row: &VersionRow, add: &impl Fn(String)) {
    if (row.head, row.head_rid) == (row.key, row.rid) {
        return;
    }
    add(match row.head {
        0 => format!("{}: there is no such resource", named(row)),
        _ => format!(
            "{}: it is the newest version and not the current one",
            named(row)
        ),
    });
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn row(version: i64, change: Change) -> VersionRow {
        VersionRow {
            key: version,
            rid: 1,
            resource_type: "Patient".to_owned(),
            id: "p".to_owned(),
            version,
            at: version,
            change: change.number(),
            codec: 0,
            body: Vec::new(),
            xact: 0,
            head: 3,
            head_rid: 1,
        }
    }

    fn sound() -> [VersionRow; 3] {
        [
            row(1, Change::Created),
            row(2, Change::Deleted),
            row(3, Change::Placed),
        ]
    }

    fn findings(rows: impl IntoIterator<Item = VersionRow>) -> Vec<String> {
        let found = RefCell::default();
        let add = |finding| Vec::push(&mut found.borrow_mut(), finding);
        let mut sequence = Sequence::default();
        for row in rows {
            sequence.check(row, &add);
        }
        sequence.finish(&add);
        found.into_inner()
    }

    #[test]
    fn each_thing_that_is_wrong_is_found() {
        assert_eq!(findings(sound()), [""; 0]);
        type Damage = fn(&mut [VersionRow; 3]);
        let damaged = |damage: Damage| {
            let mut rows = sound();
            damage(&mut rows);
            findings(rows)
        };
        let damages: [(Damage, &str); 8] = [
            (
                |rows| rows[2].version = 4,
                "Patient/p/_history/4: version 2 comes before it",
            ),
            (
                |rows| rows[1].at = 9,
                "Patient/p/_history/3: it is older than the version before it",
            ),
            (
                |rows| rows[1].xact = 1,
                "Patient/p/_history/3: in the feed it stands before the version before it",
            ),
            (
                |rows| rows[2].change = 2,
                "Patient/p/_history/3: change 2 cannot follow change 3",
            ),
            (
                |rows| rows[1].change = 7,
                "Patient/p/_history/2: change 7 cannot follow change 1",
            ),
            (
                |rows| rows[2].head = 2,
                "Patient/p/_history/3: it is the newest version and not the current one",
            ),
            (
                |rows| rows[2].head = 0,
                "Patient/p/_history/3: there is no such resource",
            ),
            (
                |rows| rows[2].id = "q".to_owned(),
                "Patient/q/_history/3: it is counted among the versions of Patient/p",
            ),
        ];
        for (damage, found) in damages {
            assert!(
                damaged(damage).contains(&found.to_owned()),
                "{found}: {:?}",
                damaged(damage)
            );
        }
        let headless = findings(sound().into_iter().skip(1));
        assert_eq!(
            headless[0],
            "Patient/p/_history/2: no version comes before it"
        );
    }
}
