//! The maps as they are used: Kiln's, the operator's, and the overlays that are laid over them at the moment. Overlays come
//! and go while the server runs; what was compiled before stays with who holds it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use fhir_spec::{Issue, IssueCode};
use interop::mapping::{BadMap, Problem, Zone};

use crate::fault::{Fault, Kind};
use crate::limits;
use crate::maps::{self, Maps, Translator};

#[derive(Debug)]
pub struct Shelf {
    paths: Vec<PathBuf>,
    maps: OnceLock<Result<Arc<Maps>, Arc<maps::Error>>>,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    overlays: Arc<Vec<Overlay>>,
    ready: HashMap<Key, Arc<Translator>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    zone: String,
    constants: Vec<(String, String)>,
    overlay: Option<String>,
}

/// What one sender does differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    pub name: String,
    pub version: u64,
    pub sender: Sender,
    pub text: String,
}

/// Whose messages an overlay is for. What is not said is all the same to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sender {
    /// MSH-3.1
    pub application: Option<String>,
    /// MSH-4.1
    pub facility: Option<String>,
    /// MSH-9: `ORU`, or `ORU^R01`.
    pub kind: Option<String>,
    /// MSH-12.1
    pub version: Option<String>,
    /// The names of files, with `*` and `?`.
    pub file: Option<String>,
}

impl Sender {
    /// How much it says, when all of it is so of `what`. An overlay that says nothing is used by its name only.
    fn fits(&self, what: &Self) -> Option<usize> {
        let same = |own: &Option<String>, its: &Option<String>| match own {
            None => Some(0),
            Some(own) => (its.as_ref() == Some(own)).then_some(1),
        };
        let kind = match (&self.kind, &what.kind) {
            (None, _) => Some(0),
            // More is said by who names the event.
            (Some(own), Some(its)) if own == its => Some(2),
            (Some(own), Some(its)) => {
                let (kind, _) = its.split_once('^').unwrap_or((its, ""));
                (own == kind).then_some(1)
            }
            (Some(_), None) => None,
        };
        let file = match (&self.file, &what.file) {
            (None, _) => Some(0),
            (Some(pattern), Some(name)) => glob(pattern, name).then_some(1),
            (Some(_), None) => None,
        };
        let all = [
            same(&self.application, &what.application),
            same(&self.facility, &what.facility),
            same(&self.version, &what.version),
            kind,
            file,
        ];
        all.into_iter()
            .sum::<Option<usize>>()
            .filter(|said| *said > 0)
    }
}

/// Whether a name is as a pattern says: `*` for any letters, `?` for one.
pub fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(letter) = name.get(from) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == letter => {
                at += 1;
                from += 1;
            }
            _ => {
                let Some((back, taken)) = star else {
                    return false;
                };
                star = Some((back, taken + 1));
                (at, from) = (back + 1, taken + 1);
            }
        }
    }
    pattern.iter().skip(at).all(|letter| *letter == '*')
}

impl Shelf {
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self {
            paths,
            maps: OnceLock::new(),
            state: RwLock::default(),
        }
    }

    /// The maps below all overlays, read when they are first asked for.
    pub fn maps(&self) -> Result<Arc<Maps>, Fault> {
        self.read_maps()
            .map_err(|error| Fault::internal(error.to_string()))
    }

    /// The same for who starts the server and must know what is wrong.
    pub fn read_maps(&self) -> Result<Arc<Maps>, Arc<maps::Error>> {
        let read = || {
            Maps::with_files(&self.paths)
                .map(Arc::new)
                .map_err(Arc::new)
        };
        self.maps.get_or_init(read).clone()
    }

    /// The maps for a route or a caller. `overlay`: by its name.
    pub fn translator(
        &self,
        zone: &Zone,
        constants: &[(String, String)],
        overlay: Option<&str>,
    ) -> Result<Arc<Translator>, Fault> {
        let key = Key {
            zone: zone.name().to_owned(),
            constants: constants.to_vec(),
            overlay: overlay.map(str::to_owned),
        };
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = state.ready.get(&key) {
            return Ok(Arc::clone(ready));
        }
        let overlays = Arc::clone(&state.overlays);
        drop(state);
        let maps = self.maps()?;
        if let Some((name, _)) = constants.iter().find(|(name, _)| !maps.has_constant(name)) {
            let told = format!("no map has the constant `{name}`");
            return Err(Fault::new(Kind::WrongParameter, told));
        }
        let made = match overlay {
            None => maps.translator(zone, constants),
            Some(name) => {
                let overlay = overlays.iter().find(|overlay| overlay.name == name);
                let overlay = overlay.ok_or_else(|| {
                    Fault::new(
                        Kind::WrongParameter,
                        format!("there is no overlay `{name}`"),
                    )
                })?;
                let (laid, _) = maps
                    .overlaid(&overlay.name, &overlay.text)
                    .map_err(|wrong| bad(&wrong))?;
                laid.translator(zone, constants)
            }
        };
        let made = Arc::new(made.map_err(|error| Fault::internal(error.to_string()))?);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&state.overlays, &overlays) {
            // It was changed meanwhile: what was made is good for this once.
            return Ok(made);
        }
        if state.ready.len() >= limits::TRANSLATORS_MAX {
            state.ready.clear();
        }
        state.ready.insert(key, Arc::clone(&made));
        Ok(made)
    }

    /// The overlay that says most of all that are for this sender; of several the first by name.
    pub fn overlay_for(&self, what: &Sender) -> Option<String> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let mut best: Option<(usize, &Overlay)> = None;
        for overlay in state.overlays.iter() {
            if let Some(said) = overlay.sender.fits(what)
                && best.is_none_or(|(most, _)| said > most)
            {
                best = Some((said, overlay));
            }
        }
        best.map(|(_, overlay)| overlay.name.clone())
    }

    pub fn overlays(&self) -> Arc<Vec<Overlay>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&state.overlays)
    }

    /// What holds from now on.
    pub fn set_overlays(&self, mut overlays: Vec<Overlay>) {
        overlays.sort_by(|one, other| one.name.cmp(&other.name));
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if *state.overlays != overlays {
            state.overlays = Arc::new(overlays);
            state.ready.clear();
        }
    }

    /// These maps with one overlay as it would be.
    #[must_use]
    pub fn with(&self, overlay: Overlay) -> Self {
        let mut overlays = self.overlays().as_ref().clone();
        overlays.retain(|other| other.name != overlay.name);
        overlays.push(overlay);
        let trial = Self {
            paths: self.paths.clone(),
            maps: self.maps.clone(),
            state: RwLock::default(),
        };
        trial.set_overlays(overlays);
        trial
    }

    /// What is wrong with an overlay before it is laid over anything: every map that it changes is compiled.
    pub fn check(&self, name: &str, text: &str) -> Result<(), Fault> {
        let maps = self.maps()?;
        let (laid, gone) = maps.overlaid(name, text).map_err(|wrong| bad(&wrong))?;
        laid.check(name, text).map_err(|wrong| bad(&wrong))?;
        let issue = |problem: &Problem| {
            Issue::error(IssueCode::NotFound, problem.to_string())
                .placed((problem.at.line, problem.at.column))
        };
        let gone: Vec<Issue> = gone.iter().map(issue).collect();
        match gone.is_empty() {
            true => Ok(()),
            false => Err(Fault::of_issues(Kind::Unprocessable, gone)),
        }
    }
}

/// A map or overlay that does not compile, each mistake with its line and column.
pub fn bad(bad: &BadMap) -> Fault {
    Fault::of_issues(Kind::Unprocessable, maps::issues(bad))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_names() {
        for (pattern, name, fits) in [
            ("*.csv", "a.csv", true),
            ("*.csv", "a.csv.tmp", false),
            ("lab_??_*.txt", "lab_07_x.txt", true),
            ("a*b*c", "aXbYbc", true),
            ("a*b*c", "aXc", false),
            ("", "", true),
            ("*", "", true),
            ("?", "", false),
        ] {
            assert_eq!(glob(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn the_overlay_that_says_most_is_taken() {
        let some = |text: &str| Some(text.to_owned());
        let overlay = |name: &str, sender: Sender| Overlay {
            name: name.to_owned(),
            version: 1,
            sender,
            text: String::new(),
        };
        let shelf = Shelf::new(Vec::new());
        let facility = Sender {
            facility: some("F"),
            ..Sender::default()
        };
        let event = Sender {
            facility: some("F"),
            kind: some("ORU^R01"),
            ..Sender::default()
        };
        let kind = Sender {
            facility: some("F"),
            kind: some("ORU"),
            ..Sender::default()
        };
        let file = Sender {
            file: some("*.csv"),
            ..Sender::default()
        };
        shelf.set_overlays(vec![
            overlay("any", Sender::default()),
            overlay("facility", facility),
            overlay("event", event),
            overlay("kind", kind),
            overlay("file", file),
        ]);
        let of = |kind: &str, facility: &str| {
            shelf.overlay_for(&Sender {
                kind: some(kind),
                facility: some(facility),
                application: some("A"),
                version: some("2.5"),
                file: None,
            })
        };
        assert_eq!(of("ORU^R01", "F").as_deref(), Some("event"));
        assert_eq!(of("ORU^R03", "F").as_deref(), Some("kind"));
        assert_eq!(of("ADT^A01", "F").as_deref(), Some("facility"));
        assert_eq!(of("ADT^A01", "G"), None);
        let named = shelf.overlay_for(&Sender {
            file: some("a.csv"),
            ..Sender::default()
        });
        assert_eq!(named.as_deref(), Some("file"));
    }

    #[test]
    fn what_is_wrong_with_an_overlay_is_told_with_its_place() {
        let shelf = Shelf::new(Vec::new());
        let good = "overlay a : patients\n  constant mrn_system = \"urn:a\"\n  in Patient\n    remove phone <-> telecom[system=phone, use=home].value\n";
        shelf.check("a", good).unwrap();
        for (text, place) in [
            (
                "overlay a : patients\n  in Patient\n    add mrn -> nmae.text\n",
                (3, 16),
            ),
            (
                "overlay a : patients\n  in Patient\n    remove nothing -> active\n",
                (3, 5),
            ),
            (
                "overlay a : nobody\n  in Patient\n    add mrn -> name.text\n",
                (1, 13),
            ),
            ("not an overlay", (1, 1)),
        ] {
            let fault = shelf.check("a", text).unwrap_err();
            assert_eq!(fault.kind, Kind::Unprocessable);
            assert_eq!(
                fault.issues[0].place,
                Some(place),
                "{text} {:?}",
                fault.issues
            );
        }
    }

    #[test]
    fn overlays_count_as_soon_as_they_are_set() {
        let shelf = Shelf::new(Vec::new());
        let utc = Zone::utc();
        let asked = || shelf.translator(&utc, &[], Some("a"));
        assert_eq!(asked().unwrap_err().kind, Kind::WrongParameter);
        let text = "overlay a : patients\n  constant mrn_system = \"urn:a\"\n";
        shelf.set_overlays(vec![Overlay {
            name: "a".to_owned(),
            version: 1,
            sender: Sender::default(),
            text: text.to_owned(),
        }]);
        let first = asked().unwrap();
        assert!(Arc::ptr_eq(&first, &asked().unwrap()));
        shelf.set_overlays(Vec::new());
        assert!(asked().is_err());
    }
}
