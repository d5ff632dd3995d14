//! How well a resource fits, so that the order of hits is the same on every page.
//!
//! BM25 weighs a word by how many documents have it, and a text by how long texts are on the whole. Both change whenever a
//! document comes, and with them all ranks: hits would be passed over or come twice. So the numbers of the first page go
//! along to the next ones, and a resource has the same rank there.

use std::cell::Cell;

use tantivy::query::Bm25StatisticsProvider;
use tantivy::schema::Field;
use tantivy::{Searcher, Term};

/// How well something fits; never negative. Cut to what is left when sums are made in another order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Rank(u32);

/// The lowest bits of a score are noise.
const NOISE: u32 = 0xFF;
/// The score that is half of what can be had.
const HALF: f64 = 4.0;

impl Rank {
    pub(super) fn of(score: f32) -> Self {
        let bits = score.max(0.0).to_bits();
        Self(bits.saturating_add(NOISE / 2) & !NOISE)
    }

    /// As a page carries it.
    pub fn key(self) -> i64 {
        self.0.into()
    }

    pub fn of_key(key: i64) -> Option<Self> {
        let bits = u32::try_from(key).ok()?;
        f32::from_bits(bits).is_finite().then_some(Self(bits))
    }

    /// Both fit.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::of(f32::from_bits(self.0) + f32::from_bits(other.0))
    }

    /// `search.score`: between 0 and 1, in digits. <https://hl7.org/fhir/R4/search.html#score>
    pub fn score(self) -> String {
        let score = f64::from(f32::from_bits(self.0));
        format!("{:.4}", score / (score + HALF))
    }
}

/// A resource that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranked {
    pub rid: i64,
    pub rank: Rank,
}

impl Ranked {
    /// The best first; those that are as good in the order in which they came to be.
    pub fn order(&self, other: &Self) -> std::cmp::Ordering {
        other.rank.cmp(&self.rank).then(self.rid.cmp(&other.rid))
    }
}

/// What ranks are reckoned from: how many documents there are, how many words, and how many documents have each word that
/// is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statistics {
    documents: u64,
    words: Vec<u64>,
    frequencies: Vec<u64>,
}

impl Statistics {
    pub(super) fn now(
        searcher: &Searcher,
        fields: &[Field],
        terms: &[Term],
    ) -> tantivy::Result<Self> {
        let words = fields.iter().map(|field| searcher.total_num_tokens(*field));
        let frequencies = terms.iter().map(|term| searcher.doc_freq(term));
        Ok(Self {
            documents: searcher.total_num_docs()?,
            words: words.collect::<tantivy::Result<_>>()?,
            frequencies: frequencies.collect::<tantivy::Result<_>>()?,
        })
    }

    /// As a page carries it: numbers, nothing for 0.
    pub fn to_text(&self) -> String {
        let all = [self.documents].into_iter();
        let all = all.chain(self.words.iter().copied());
        let all = all.chain(self.frequencies.iter().copied());
        let number = |number: u64| match number {
            0 => String::new(),
            other => format!("{other:x}"),
        };
        all.map(number).collect::<Vec<_>>().join(",")
    }

    /// None when it was made for something else.
    pub(super) fn read(text: &str, fields: usize, terms: usize) -> Option<Self> {
        let number = |text: &str| match text {
            "" => Some(0),
            other => u64::from_str_radix(other, 16).ok(),
        };
        let all: Vec<u64> = text.split(',').map(number).collect::<Option<_>>()?;
        let (documents, rest) = all.split_first()?;
        let (words, frequencies) = rest.split_at_checked(fields)?;
        let holds = frequencies.len() == terms
            && frequencies.iter().all(|frequency| frequency <= documents);
        holds.then(|| Self {
            documents: *documents,
            words: words.to_vec(),
            frequencies: frequencies.to_vec(),
        })
    }
}

/// Hands the numbers of a search to what reckons with them.
pub(super) struct Provider<'s> {
    pub(super) statistics: &'s Statistics,
    pub(super) fields: &'s [Field],
    pub(super) terms: &'s [Term],
    /// It was asked for what it does not have.
    pub(super) is_short: Cell<bool>,
}

impl Provider<'_> {
    fn found(&self, value: Option<&u64>) -> u64 {
        self.is_short.set(self.is_short.get() || value.is_none());
        value.copied().unwrap_or_default()
    }
}

impl Bm25StatisticsProvider for Provider<'_> {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        let number = self.fields.iter().position(|known| *known == field);
        Ok(self.found(number.and_then(|number| self.statistics.words.get(number))))
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        // Nobody divides by what is not there.
        Ok(self.statistics.documents.max(1))
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        let number = self.terms.binary_search(term).ok();
        Ok(self.found(number.and_then(|number| self.statistics.frequencies.get(number))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_in_the_order_of_scores_and_survive_noise() {
        let ranks = [0.0, 0.01, 0.5, 1.0, 3.7, 12.0, 400.0].map(Rank::of);
        assert!(ranks.is_sorted());
        assert_eq!(Rank::of(1.234_567), Rank::of(1.234_568));
        assert_ne!(Rank::of(1.234), Rank::of(1.235));
        assert_eq!(Rank::of_key(Rank::of(2.5).key()), Some(Rank::of(2.5)));
        assert_eq!(Rank::of_key(-1), None);
        assert_eq!(Rank::of(f32::NAN), Rank::default());
        assert_eq!(Rank::of(4.0).score(), "0.5000");
        assert_eq!(Rank::of(0.0).score(), "0.0000");
    }

    #[test]
    fn statistics_are_read_as_they_were_written() {
        let statistics = Statistics {
            documents: 1000,
            words: vec![0, 77, 300_000],
            frequencies: vec![0, 0, 999, 0],
        };
        let text = statistics.to_text();
        assert_eq!(text, "3e8,,4d,493e0,,,3e7,");
        assert_eq!(Statistics::read(&text, 3, 4), Some(statistics));
        for wrong in ["", "x", "1,,,,2", "3e8,,4d,493e0,,,3e7"] {
            assert_eq!(Statistics::read(wrong, 3, 4), None, "{wrong}");
        }
    }
}
