//! The index itself, in a directory of its own, on tantivy. <https://docs.rs/tantivy>
//!
//! A document is known by the number of its resource. With every commit goes a mark that says up to where its writer has
//! come: the index and its place in what it follows cannot disagree.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::Column;
use tantivy::directory::MmapDirectory;
use tantivy::indexer::IndexWriterOptions;
use tantivy::query::{
    AllQuery, BooleanQuery, ConstScoreQuery, EmptyQuery, Occur, PhraseQuery, Query, TermQuery,
    TermSetQuery,
};
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::TextAnalyzer;
use tantivy::{DocId, Index, IndexReader, ReloadPolicy, Score, Searcher, SegmentReader};
use tantivy::{TantivyDocument, Term};

use super::document::{Document, before};
use super::error::{BEGINNINGS_MAX, Error};
use super::language::forms;
use super::rank::{Provider, Rank, Ranked, Statistics};
use super::wanted::{Place, Sought, Wanted};
use super::words::Cutter;
use crate::hash;

/// Of what the index holds and how: another one makes it anew.
pub const VERSION: u32 = 1;
/// What the writer gathers before it writes a part of the index out: the least that the library takes. Twice as much is no
/// faster and stays with the process.
const WRITER_BYTES_MAX: usize = 15_000_000;
const WORDS: &str = "words";
const RID: &str = "rid";

#[derive(Debug, Clone, Copy)]
struct Fields {
    rid: Field,
    resource_type: Field,
    narrative: Field,
    content: Field,
    beside: Field,
}

/// An index that can be searched; cheap to clone.
#[derive(Clone)]
pub struct TextIndex {
    index: Index,
    reader: IndexReader,
    fields: Fields,
}

/// One state of the index.
#[derive(Clone)]
pub struct Snapshot {
    searcher: Searcher,
    fields: Fields,
}

/// Changes an index; there is one at a time, over all processes.
pub struct Writer {
    writer: tantivy::IndexWriter,
    fields: Fields,
}

/// What a question has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The best first.
    pub hits: Vec<Ranked>,
    /// There is more.
    pub is_cut: bool,
}

impl std::fmt::Debug for TextIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TextIndex").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

fn schema() -> (Schema, Fields) {
    let mut builder = Schema::builder();
    let indexing = TextFieldIndexing::default()
        .set_tokenizer(WORDS)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let text = TextOptions::default().set_indexing_options(indexing);
    let fields = Fields {
        rid: builder.add_u64_field(RID, INDEXED | FAST),
        resource_type: builder.add_u64_field("type", INDEXED),
        narrative: builder.add_text_field("narrative", text.clone()),
        content: builder.add_text_field("content", text.clone()),
        beside: builder.add_text_field("beside", text),
    };
    (builder.build(), fields)
}

impl Fields {
    fn of_text(&self) -> [Field; 3] {
        [self.narrative, self.content, self.beside]
    }
}

impl TextIndex {
    /// The index in this directory, which is made when there is none.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let files = MmapDirectory::open(directory)?;
        let (schema, fields) = schema();
        let index = Index::open_or_create(files, schema)?;
        let analyzer = TextAnalyzer::from(Cutter::default());
        index.tokenizers().register(WORDS, analyzer);
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .doc_store_cache_num_blocks(0)
            .try_into()?;
        Ok(Self {
            index,
            reader,
            fields,
        })
    }

    /// Reads all files and compares them with their checksums.
    pub fn check(&self) -> Result<(), Error> {
        let damaged = self.index.validate_checksum()?;
        let mut names: Vec<String> = damaged.iter().map(|p| p.display().to_string()).collect();
        names.sort_unstable();
        match names.is_empty() {
            true => Ok(()),
            false => Err(Error::Damaged(names.join(", "))),
        }
    }

    /// The mark of the last commit.
    pub fn mark(&self) -> Result<Option<String>, Error> {
        Ok(self.index.load_metas()?.payload)
    }

    /// Takes up what was committed.
    pub fn reload(&self) -> Result<(), Error> {
        Ok(self.reader.reload()?)
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            searcher: self.reader.searcher(),
            fields: self.fields,
        }
    }

    /// Takes memory and threads until it is dropped.
    pub fn writer(&self) -> Result<Writer, Error> {
        let options = IndexWriterOptions::builder()
            .memory_budget_per_thread(WRITER_BYTES_MAX)
            .num_worker_threads(1)
            .num_merge_threads(1)
            .build();
        Ok(Writer {
            writer: self.index.writer_with_options(options)?,
            fields: self.fields,
        })
    }
}

impl Writer {
    /// What is known of a resource from now on; None: nothing.
    pub fn put(&self, rid: i64, document: Option<Document>) -> Result<(), Error> {
        let number = u64::try_from(rid).unwrap_or_default();
        let fields = self.fields;
        self.writer
            .delete_term(Term::from_field_u64(fields.rid, number));
        let Some(document) = document else {
            return Ok(());
        };
        let mut stored = TantivyDocument::new();
        stored.add_u64(fields.rid, number);
        stored.add_u64(fields.resource_type, type_number(document.resource_type));
        let texts = [
            (fields.narrative, &document.narrative),
            (fields.content, &document.content),
            (fields.beside, &document.beside),
        ];
        for (field, texts) in texts {
            for text in texts {
                stored.add_text(field, text);
            }
        }
        self.writer.add_document(stored)?;
        Ok(())
    }

    /// Makes durable what was put, together with the mark.
    pub fn commit(&mut self, mark: &str) -> Result<(), Error> {
        let mut commit = self.writer.prepare_commit()?;
        commit.set_payload(mark);
        commit.commit()?;
        Ok(())
    }

    /// Waits for what is going on in the background.
    pub fn finish(self) -> Result<(), Error> {
        Ok(self.writer.wait_merging_threads()?)
    }
}

fn type_number(resource_type: i32) -> u64 {
    u64::try_from(resource_type).unwrap_or_default()
}

/// A question as the index is asked it.
struct Question {
    query: Box<dyn Query>,
    /// Those whose frequency counts, in order.
    terms: Vec<Term>,
}

impl Snapshot {
    pub fn documents(&self) -> u64 {
        self.searcher.num_docs()
    }

    /// What ranks are reckoned from at this moment.
    pub fn statistics(&self, sought: &Sought) -> Result<Statistics, Error> {
        let question = self.question(sought)?;
        self.statistics_of(&question)
    }

    fn statistics_of(&self, question: &Question) -> Result<Statistics, Error> {
        let fields = self.fields.of_text();
        let now = Statistics::now(&self.searcher, &fields, &question.terms);
        Ok(now?)
    }

    /// Resources of a type, at most so many. `statistics`: as an earlier page has carried them. `within`: only these, and
    /// what they are worth already.
    pub fn find(
        &self,
        resource_type: &str,
        sought: &Sought,
        statistics: Option<&str>,
        within: Option<&HashMap<i64, Rank>>,
        hits_max: usize,
    ) -> Result<Found, Error> {
        let question = self.question(sought)?;
        let fields = self.fields.of_text();
        let carried =
            statistics.and_then(|text| Statistics::read(text, fields.len(), question.terms.len()));
        let statistics = match carried {
            Some(carried) => carried,
            None => self.statistics_of(&question)?,
        };
        let number = type_number(hash::short(resource_type));
        let of_type = Term::from_field_u64(self.fields.resource_type, number);
        let of_type = TermQuery::new(of_type, IndexRecordOption::Basic);
        let query = BooleanQuery::new(vec![
            (Occur::Must, question.query),
            (Occur::Must, weightless(Box::new(of_type))),
        ]);
        let provider = Provider {
            statistics: &statistics,
            fields: &fields,
            terms: &question.terms,
            is_short: std::cell::Cell::new(false),
        };
        let collector = Hits::new(hits_max, within.cloned());
        let mut hits = self
            .searcher
            .search_with_statistics_provider(&query, &collector, &provider)?;
        debug_assert!(!provider.is_short.get(), "a term without a frequency");
        let is_cut = hits.len() > hits_max;
        hits.sort_unstable_by(Ranked::order);
        hits.truncate(hits_max);
        Ok(Found { hits, is_cut })
    }

    fn question(&self, sought: &Sought) -> Result<Question, Error> {
        let mut terms = BTreeSet::new();
        let places = match &sought.place {
            Place::Narrative => vec![(self.fields.narrative, String::new())],
            Place::Content => vec![
                (self.fields.content, String::new()),
                (self.fields.narrative, String::new()),
            ],
            Place::Beside(paths) => {
                let paths = paths.iter();
                paths
                    .map(|path| (self.fields.beside, before(*path)))
                    .collect()
            }
        };
        let query = self.query(&sought.wanted, &places, &mut terms)?;
        Ok(Question {
            query,
            terms: terms.into_iter().collect(),
        })
    }

    fn query(
        &self,
        wanted: &Wanted,
        places: &[(Field, String)],
        terms: &mut BTreeSet<Term>,
    ) -> Result<Box<dyn Query>, Error> {
        let mut parts: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        match wanted {
            Wanted::Word(word) => {
                for (field, before) in places {
                    let forms = forms(word);
                    for form in forms.iter().chain([word]) {
                        let term = Term::from_field_text(*field, &format!("{before}{form}"));
                        terms.insert(term.clone());
                        parts.push((Occur::Should, counted(term)));
                    }
                }
            }
            Wanted::Phrase(words) => {
                for (field, before) in places {
                    let words = words.iter();
                    let words: Vec<Term> = words
                        .map(|word| Term::from_field_text(*field, &format!("{before}{word}")))
                        .collect();
                    terms.extend(words.iter().cloned());
                    let query: Box<dyn Query> = match words.as_slice() {
                        [] => Box::new(EmptyQuery),
                        [only] => counted(only.clone()),
                        _ => Box::new(PhraseQuery::new(words)),
                    };
                    parts.push((Occur::Should, query));
                }
            }
            Wanted::Beginning(word) => {
                for (field, before) in places {
                    let words = self.beginning_with(*field, before, word)?;
                    if !words.is_empty() {
                        let query = ConstScoreQuery::new(Box::new(TermSetQuery::new(words)), 1.0);
                        parts.push((Occur::Should, Box::new(query)));
                    }
                }
            }
            Wanted::Any(any) => {
                for wanted in any {
                    parts.push((Occur::Should, self.query(wanted, places, terms)?));
                }
            }
            Wanted::All(all) => {
                for wanted in all {
                    parts.push(match wanted {
                        Wanted::Not(inner) => (Occur::MustNot, self.query(inner, places, terms)?),
                        other => (Occur::Must, self.query(other, places, terms)?),
                    });
                }
            }
            Wanted::Not(inner) => {
                parts.push((Occur::MustNot, self.query(inner, places, terms)?));
            }
        }
        if !parts.is_empty() && parts.iter().all(|(occur, _)| *occur == Occur::MustNot) {
            parts.push((Occur::Must, weightless(Box::new(AllQuery))));
        }
        Ok(match parts.is_empty() {
            true => Box::new(EmptyQuery),
            false => Box::new(BooleanQuery::new(parts)),
        })
    }

    /// The words of a place that begin so.
    fn beginning_with(
        &self,
        field: Field,
        before: &str,
        beginning: &str,
    ) -> Result<BTreeSet<Term>, Error> {
        let prefix = format!("{before}{beginning}");
        let mut words = BTreeSet::new();
        for segment in self.searcher.segment_readers() {
            let index = segment.inverted_index(field)?;
            let from = index.terms().range().ge(&prefix);
            let mut stream = from.into_stream().map_err(tantivy::TantivyError::from)?;
            while stream.advance() && stream.key().starts_with(prefix.as_bytes()) {
                let Ok(word) = std::str::from_utf8(stream.key()) else {
                    continue;
                };
                words.insert(Term::from_field_text(field, word));
                if words.len() > BEGINNINGS_MAX {
                    return Err(Error::TooManyBeginnings(beginning.to_owned()));
                }
            }
        }
        Ok(words)
    }
}

fn counted(term: Term) -> Box<dyn Query> {
    Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs))
}

/// It decides what is found, not how well that fits.
fn weightless(query: Box<dyn Query>) -> Box<dyn Query> {
    Box::new(ConstScoreQuery::new(query, 0.0))
}

/// Gathers hits: one more than are wanted tells that there are more.
struct Hits {
    most: usize,
    count: Arc<AtomicUsize>,
    within: Option<Arc<HashMap<i64, Rank>>>,
}

struct HitsOfSegment {
    most: usize,
    count: Arc<AtomicUsize>,
    within: Option<Arc<HashMap<i64, Rank>>>,
    rids: Column<u64>,
    hits: Vec<Ranked>,
}

impl Hits {
    fn new(hits_max: usize, within: Option<HashMap<i64, Rank>>) -> Self {
        Self {
            within: within.map(Arc::new),
            most: hits_max.saturating_add(1),
            count: Arc::default(),
        }
    }
}

impl Collector for Hits {
    type Fruit = Vec<Ranked>;
    type Child = HitsOfSegment;

    fn for_segment(&self, _: u32, segment: &SegmentReader) -> tantivy::Result<HitsOfSegment> {
        Ok(HitsOfSegment {
            most: self.most,
            count: Arc::clone(&self.count),
            within: self.within.clone(),
            rids: segment.fast_fields().u64(RID)?,
            hits: Vec::new(),
        })
    }

    fn requires_scoring(&self) -> bool {
        true
    }

    fn merge_fruits(&self, found: Vec<Vec<Ranked>>) -> tantivy::Result<Vec<Ranked>> {
        Ok(found.into_iter().flatten().collect())
    }
}

impl SegmentCollector for HitsOfSegment {
    type Fruit = Vec<Ranked>;

    fn collect(&mut self, document: DocId, score: Score) {
        let Some(Ok(rid)) = self.rids.first(document).map(i64::try_from) else {
            return;
        };
        let rank = match &self.within {
            None => Rank::of(score),
            Some(within) => match within.get(&rid) {
                Some(before) => before.and(Rank::of(score)),
                None => return,
            },
        };
        if self.count.fetch_add(1, Ordering::Relaxed) < self.most {
            self.hits.push(Ranked { rid, rank });
        }
    }

    fn harvest(self) -> Vec<Ranked> {
        self.hits
    }
}
