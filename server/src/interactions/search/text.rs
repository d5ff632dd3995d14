//! What is asked of texts: the index of texts says where they are, the database what of that is meant.
//! <https://hl7.org/fhir/R4/search.html#text>
//!
//! The index never answers by itself: its answers go into the statements as sets of resources, and what was deleted, has
//! changed or may not be seen is left out there. Sets are bounded. Where more has the text, it is the other criteria that say
//! among which resources it is looked for; where they find too much as well, the search is refused.

use std::collections::HashMap;
use std::sync::Arc;

use search::condition::{Bind, Condition};
use search::query::{Criterion, Query};
use search::sql::{Position, SortedPage};
use search::text::{Rank, Ranked, Snapshot, Sought};

use super::page::Hit;
use super::{Asked, Part};
use crate::fault::{Fault, Kind};
use crate::limits::TEXT_HITS_MAX;
use crate::store::View;

/// Hits that are held against the database together: few at first, as most of them will do.
const TRIED_FIRST: usize = 128;
/// So many times as many after that.
const TRIED_MORE: usize = 8;

/// The hits of the criteria for text that the whole search depends on, the best first.
#[derive(Debug, Default)]
pub(super) struct Relevance {
    hits: Vec<(usize, Ranked)>,
    ranks: HashMap<i64, Rank>,
    /// For the pages that follow.
    pub statistics: Option<String>,
}

/// The search with the answers of the index in the place of its questions; None: it asks for no text.
pub(super) fn answered(
    view: &mut View<'_>,
    asked: &Asked,
    parts: &mut [Part],
) -> Result<Option<Relevance>, Fault> {
    let (Some(texts), Some(snapshot)) = (&asked.texts, asked.text.get()) else {
        return Ok(None);
    };
    view.step("text");
    let fault = |error| texts.fault(error);
    let ranking = Ranking::of(snapshot, parts, asked.place.statistics.as_deref()).map_err(fault)?;
    let mut reader = Reader {
        snapshot,
        ranking: &ranking,
        fault: &fault,
        left: TEXT_HITS_MAX,
    };
    let mut relevance = Relevance {
        statistics: ranking.to_text(),
        ..Relevance::default()
    };
    for (number, part) in parts.iter_mut().enumerate() {
        if let Some(hits) = reader.answer(view, part)? {
            relevance
                .hits
                .extend(hits.into_iter().map(|hit| (number, hit)));
        }
    }
    relevance
        .hits
        .sort_unstable_by(|(_, one), (_, other)| one.order(other));
    relevance.ranks = relevance
        .hits
        .iter()
        .map(|(_, hit)| (hit.rid, hit.rank))
        .collect();
    Ok(Some(relevance))
}

impl Relevance {
    /// Whether hits come in the order of how well they fit.
    pub(super) fn orders(&self, parts: &[Part]) -> bool {
        let is_ranked = self.statistics.is_some();
        is_ranked && parts.iter().all(|part| part.query.sort.is_empty())
    }

    pub(super) fn score(&self, rid: i64) -> Option<String> {
        self.ranks.get(&rid).map(|rank| rank.score())
    }

    /// The best hits behind a place, at most so many.
    pub(super) fn hits(
        &self,
        view: &mut View<'_>,
        parts: &[Part],
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Vec<Hit>, Fault> {
        let after = after.and_then(|position| match position.keys.as_slice() {
            [Some(Bind::Int(key))] => Some(Ranked {
                rid: position.rid,
                rank: Rank::of_key(*key)?,
            }),
            _ => None,
        });
        let from = after.map_or(0, |after| {
            self.hits
                .partition_point(|(_, hit)| hit.order(&after).is_le())
        });
        let mut rest = self.hits.get(from..).unwrap_or_default();
        let mut hits = Vec::new();
        let mut tried = TRIED_FIRST.max(limit);
        while !rest.is_empty() && hits.len() < limit {
            let (some, left) = rest.split_at_checked(tried).unwrap_or((rest, &[]));
            hits.extend(held(view, parts, some)?);
            rest = left;
            tried = tried.saturating_mul(TRIED_MORE);
        }
        hits.truncate(limit);
        Ok(hits)
    }
}

/// Those of some hits that all else is true for, in their order.
fn held(view: &mut View<'_>, parts: &[Part], some: &[(usize, Ranked)]) -> Result<Vec<Hit>, Fault> {
    let mut found = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let own = some.iter().filter(|(part, _)| *part == number);
        let rids = sorted(own.map(|(_, hit)| hit.rid));
        if rids.is_empty() {
            continue;
        }
        let page = SortedPage {
            after: None,
            limit: i64::try_from(rids.len()).unwrap_or(i64::MAX),
        };
        let mut query = part.query.clone();
        // Instead of all that have the text.
        if let Some(text) = query.criteria.first_mut() {
            *text = among(rids);
        }
        let positions = view.hits(part.resource_type, &query, &page)?;
        found.extend(positions.into_iter().map(|position| position.rid));
    }
    found.sort_unstable();
    let held = some
        .iter()
        .filter(|(_, hit)| found.binary_search(&hit.rid).is_ok());
    let hits = held.map(|(part, hit)| Hit {
        part: *part,
        position: Position {
            keys: vec![Some(Bind::Int(hit.rank.key()))],
            rid: hit.rid,
        },
    });
    Ok(hits.collect())
}

fn sorted(rids: impl Iterator<Item = i64>) -> Arc<[i64]> {
    let mut rids: Vec<i64> = rids.collect();
    rids.sort_unstable();
    rids.into()
}

fn among(rids: Arc<[i64]>) -> Criterion {
    Criterion {
        name: "text".into(),
        condition: Condition::Among(rids),
    }
}

/// What ranks are reckoned from, for each question that ranks.
struct Ranking(Vec<(Sought, String)>);

impl Ranking {
    /// As the first page had it, else as it is now.
    fn of(
        snapshot: &Snapshot,
        parts: &[Part],
        carried: Option<&str>,
    ) -> Result<Self, search::text::Error> {
        let mut carried = carried.into_iter().flat_map(|text| text.split(';'));
        let mut known: Vec<(Sought, String)> = Vec::new();
        for criterion in parts.iter().flat_map(|part| &part.query.criteria) {
            let Condition::Text(sought) = &criterion.condition else {
                continue;
            };
            if known.iter().any(|(other, _)| other == &**sought) {
                continue;
            }
            let statistics = match carried.next() {
                Some(text) => text.to_owned(),
                None => snapshot.statistics(sought)?.to_text(),
            };
            known.push(((**sought).clone(), statistics));
        }
        Ok(Self(known))
    }

    fn statistics(&self, sought: &Sought) -> Option<&str> {
        let mut known = self.0.iter().filter(|(other, _)| other == sought);
        known.next().map(|(_, text)| text.as_str())
    }

    fn to_text(&self) -> Option<String> {
        let all: Vec<&str> = self.0.iter().map(|(_, text)| text.as_str()).collect();
        (!all.is_empty()).then(|| all.join(";"))
    }
}

struct Reader<'a> {
    snapshot: &'a Snapshot,
    ranking: &'a Ranking,
    fault: &'a dyn Fn(search::text::Error) -> Fault,
    /// So many hits may still be found.
    left: usize,
}

impl Reader<'_> {
    /// Answers all questions of a part. What the whole part depends on is told with its ranks.
    fn answer(
        &mut self,
        view: &mut View<'_>,
        part: &mut Part,
    ) -> Result<Option<Vec<Ranked>>, Fault> {
        let criteria = std::mem::take(&mut part.query.criteria);
        let mut questions = Vec::new();
        for mut criterion in criteria {
            if let Condition::Text(sought) = criterion.condition {
                questions.push(sought);
                continue;
            }
            criterion
                .condition
                .answer_text(part.resource_type, &mut |resource_type, sought| {
                    let found = self.find(resource_type, sought, None)?;
                    let rids = found.ok_or_else(|| too_many(&criterion.name))?;
                    self.left = self.left.saturating_sub(rids.len());
                    Ok::<_, Fault>(sorted(rids.into_iter().map(|hit| hit.rid)))
                })?;
            part.query.criteria.push(criterion);
        }
        if questions.is_empty() {
            return Ok(None);
        }
        let hits = self.all_of(view, part, &questions)?;
        self.left = self.left.saturating_sub(hits.len());
        let rids = sorted(hits.iter().map(|hit| hit.rid));
        part.query.criteria.insert(0, among(rids));
        Ok(Some(hits))
    }

    /// What all questions find.
    fn all_of(
        &self,
        view: &mut View<'_>,
        part: &Part,
        questions: &[Box<Sought>],
    ) -> Result<Vec<Ranked>, Fault> {
        let mut hits: Option<Vec<Ranked>> = None;
        let mut postponed = Vec::new();
        for sought in questions {
            match self.find(part.resource_type, sought, hits.as_deref())? {
                Some(found) => hits = Some(found),
                None => postponed.push(sought),
            }
        }
        for sought in postponed {
            let within = match hits {
                Some(hits) => hits,
                None => self.by_all_else(view, part)?,
            };
            let found = self.find(part.resource_type, sought, Some(&within))?;
            hits = Some(found.unwrap_or_default());
        }
        Ok(hits.unwrap_or_default())
    }

    /// What a question finds, among others when they are known; None: too much.
    fn find(
        &self,
        resource_type: &str,
        sought: &Sought,
        within: Option<&[Ranked]>,
    ) -> Result<Option<Vec<Ranked>>, Fault> {
        let statistics = self.ranking.statistics(sought);
        let most = within.map_or(self.left, <[Ranked]>::len);
        let within = within.map(|hits| hits.iter().map(|hit| (hit.rid, hit.rank)).collect());
        let found = self
            .snapshot
            .find(resource_type, sought, statistics, within.as_ref(), most);
        let found = found.map_err(self.fault)?;
        Ok((!found.is_cut).then_some(found.hits))
    }

    /// What the other criteria find, while that is not too much either.
    fn by_all_else(&self, view: &mut View<'_>, part: &Part) -> Result<Vec<Ranked>, Fault> {
        if part.query.criteria.is_empty() {
            return Err(too_many("text"));
        }
        let query = Query {
            sort: Vec::new(),
            ..part.query.clone()
        };
        let page = SortedPage {
            after: None,
            limit: i64::try_from(self.left.saturating_add(1)).unwrap_or(i64::MAX),
        };
        let found = view.hits(part.resource_type, &query, &page)?;
        if found.len() > self.left {
            return Err(too_many("text"));
        }
        let ranked = |position: Position| Ranked {
            rid: position.rid,
            rank: Rank::default(),
        };
        Ok(found.into_iter().map(ranked).collect())
    }
}

fn too_many(name: &str) -> Fault {
    let diagnostics = format!(
        "`{name}`: more than {TEXT_HITS_MAX} resources have this text: add words to it, or other criteria"
    );
    Fault::new(Kind::TooCostly, diagnostics)
}
