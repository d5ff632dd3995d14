//! A text that is costly to make, for as long as what it was made of holds.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use search::Registry;

/// The last text, by the search parameters that it tells of and the address that it names. One is enough: most clients
/// know a server by the same address, and who varies it fills no memory.
#[derive(Debug, Default)]
pub struct Kept(Mutex<Option<(Arc<Registry>, String, Bytes)>>);

impl Kept {
    pub fn text(
        &self,
        registry: &Arc<Registry>,
        base: &str,
        make: impl FnOnce() -> String,
    ) -> Bytes {
        let last = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, at, text)) = &*last()
            && Arc::ptr_eq(of, registry)
            && at == base
        {
            return text.clone();
        }
        // Made outside of the lock: who finds another one waits for nobody.
        let text = Bytes::from(make());
        *last() = Some((Arc::clone(registry), base.to_owned(), text.clone()));
        text
    }
}

#[cfg(test)]
mod tests {
    use fhir_spec::definitions::Definitions;

    use super::*;

    #[test]
    fn a_text_is_made_anew_when_something_has_changed() {
        let definitions = Arc::new(Definitions::r4().with_packages(Vec::new()).0);
        let one = Arc::new(Registry::new(definitions));
        let other = Arc::new(one.of_generation(7));
        let kept = Kept::default();
        let text = |registry, base, text: &str| kept.text(registry, base, || text.to_owned());
        assert_eq!(text(&one, "a", "1"), "1");
        assert_eq!(text(&one, "a", "2"), "1");
        assert_eq!(text(&one, "b", "3"), "3");
        assert_eq!(text(&other, "b", "4"), "4");
        assert_eq!(text(&other, "b", "5"), "4");
    }
}
