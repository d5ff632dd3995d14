//! Two nodes on one PostgreSQL share a folder: each file is taken once, and who dies is replaced.

use crate::databases;
use crate::folders::{deliver, folder, names, route, until};
use crate::kiln::Kiln;
use crate::mllp::{adt, messages};

const MANY: usize = 150;

#[test]
fn each_file_is_taken_once_and_who_dies_is_replaced() {
    let Some(database) = databases::postgres() else {
        return;
    };
    let path = folder(&database);
    let archive = path.join("archive");
    let bring = |from: usize, to: usize| {
        for number in from..to {
            let name = format!("{number:04}.hl7");
            let (id, patient) = (number.to_string(), format!("P{}", number % 5));
            deliver(&path, &name, &adt(&id, &patient));
        }
    };
    let settings = route(&path, "every 1s", "");
    bring(0, MANY);
    let first = Kiln::configured(&database, &settings);
    until("the first one is at it", || !names(&archive).is_empty());
    let second = Kiln::configured(&database, &settings);
    first.kill();
    until("the second one has taken over", || {
        names(&archive).len() == MANY
    });
    // While both are there, nobody does what the other does.
    let third = Kiln::configured(&database, &settings);
    for round in 1..4 {
        bring(MANY * round, MANY * round + 20);
        until("they are taken", || {
            names(&archive).len() == MANY + 20 * round
        });
    }
    second.kill();
    bring(MANY * 4, MANY * 4 + 5);
    let all = MANY + 65;
    until("the third one has taken over", || {
        names(&archive).len() == all
    });
    // A file that was taken twice would stand there under two names, or have been refused, or told a second time.
    let archived = names(&archive);
    assert!(
        archived.iter().all(|name| name.len() == "0000.hl7".len()),
        "{archived:?}"
    );
    assert!(names(&path.join("errors")).is_empty());
    let kept = messages(&third, "route=lab&limit=1000");
    assert_eq!(kept.len(), all);
    for message in &kept {
        assert_eq!(message.str_of("status"), Some("applied"), "{message}");
        assert_eq!(message.get("attempts").unwrap().as_u64(), Some(1));
    }
}
