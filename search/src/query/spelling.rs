//! The nearest name to one that nobody knows.

/// Names further away than this from what was written are no help.
const DISTANCE_MAX: usize = 3;
/// Nothing longer is a name that somebody mistyped.
const LENGTH_MAX: usize = 64;

/// The known name that was most likely meant.
pub(crate) fn nearest<'n>(written: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    if written.len() > LENGTH_MAX {
        return None;
    }
    let length = written.chars().count();
    let bound = DISTANCE_MAX.min(length / 2);
    known
        // Each letter more or less is a step away: most names need no closer look.
        .filter(|name| name.chars().count().abs_diff(length) <= bound)
        .map(|name| (distance(written, name), name))
        .filter(|(distance, _)| *distance <= bound)
        .min()
        .map(|(_, name)| name)
}

/// Letters to be added, dropped, changed or swapped; case counts half a letter's worth of nothing: none.
fn distance(one: &str, other: &str) -> usize {
    let letters =
        |text: &str| -> Vec<char> { text.chars().map(|c| c.to_ascii_lowercase()).collect() };
    let (one, other) = (letters(one), letters(other));
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    let mut last_letter = None;
    for (index, letter) in one.iter().enumerate() {
        let mut next = vec![index + 1];
        let mut last_other = None;
        for (column, candidate) in other.iter().enumerate() {
            let at =
                |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
            let changed = at(&row, column) + usize::from(letter != candidate);
            let dropped = at(&row, column + 1) + 1;
            let added = at(&next, column) + 1;
            let is_swap = last_letter == Some(candidate) && last_other == Some(letter);
            let swapped = if is_swap && column > 0 {
                at(&before, column - 1) + 1
            } else {
                usize::MAX
            };
            next.push(changed.min(dropped).min(added).min(swapped));
            last_other = Some(candidate);
        }
        before = std::mem::replace(&mut row, next);
        last_letter = Some(letter);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant() {
        let known = ["birthdate", "family", "gender", "given", "name"];
        for (written, wanted) in [
            ("familiy", Some("family")),
            ("birthDate", Some("birthdate")),
            ("gneder", Some("gender")),
            ("nmae", Some("name")),
            ("zzz", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, known.into_iter()), wanted, "{written}");
        }
        assert_eq!(nearest(&"a".repeat(10_000), known.into_iter()), None);
    }
}
