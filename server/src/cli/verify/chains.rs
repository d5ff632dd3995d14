//! The chains of the audit: each event against its hash, the hash before it, and where its chain ends.

use std::collections::BTreeMap;

use crate::audit::event;
use crate::store::{ChainEnd, ORIGIN, Told, chained};

/// Takes events chain by chain, in their order.
#[derive(Debug)]
pub(super) struct Chains {
    ends: BTreeMap<i64, ChainEnd>,
    /// The event before: its chain, number and hash.
    last: Option<(i64, i64, Vec<u8>)>,
}

impl Chains {
    pub(super) fn new(ends: Vec<ChainEnd>) -> Self {
        Self {
            ends: ends.into_iter().map(|end| (end.chain, end)).collect(),
            last: None,
        }
    }

    pub(super) fn check(&mut self, told: Told, add: &impl Fn(String)) {
        let before = match self.last.take() {
            Some(last) if last.0 == told.chain => last,
            last => {
                if let Some(last) = last {
                    self.ends_with(&last, add);
                }
                self.begins(&told, add)
            }
        };
        let name = named(&told);
        let (_, seq, hash) = before;
        if told.seq != seq + 1 {
            let missing = match told.seq - seq {
                2 => format!("AuditEvent/{}-{}", told.chain, seq + 1),
                _ => format!(
                    "AuditEvent/{}-{} to {}-{}",
                    told.chain,
                    seq + 1,
                    told.chain,
                    told.seq - 1
                ),
            };
            add(format!("{missing}: taken out of the audit"));
        } else if chained(
            &hash,
            (told.chain, told.seq),
            told.at,
            &told.patient,
            &told.body,
        ) != *told.hash
        {
            add(format!(
                "{name}: it does not say what was told to the audit"
            ));
        }
        self.last = Some((told.chain, told.seq, told.hash));
    }

    pub(super) fn finish(&mut self, add: &impl Fn(String)) {
        if let Some(last) = self.last.take() {
            self.ends_with(&last, add);
        }
        for end in self.ends.values() {
            if end.seq > end.cut_seq {
                add(format!(
                    "AuditEvent/{}-{} to {}-{}: taken out of the audit",
                    end.chain,
                    end.cut_seq + 1,
                    end.chain,
                    end.seq
                ));
            }
        }
    }

    /// What comes before the first event of a chain that is there.
    fn begins(&self, told: &Told, add: &impl Fn(String)) -> (i64, i64, Vec<u8>) {
        match self.ends.get(&told.chain) {
            Some(end) if end.cut_seq > 0 => (told.chain, end.cut_seq, end.cut_hash.clone()),
            Some(_) => (told.chain, 0, ORIGIN.to_vec()),
            None => {
                add(format!("{}: its chain is not known", named(told)));
                (told.chain, 0, ORIGIN.to_vec())
            }
        }
    }

    fn ends_with(&mut self, (chain, seq, hash): &(i64, i64, Vec<u8>), add: &impl Fn(String)) {
        let Some(end) = self.ends.remove(chain) else {
            return;
        };
        if *seq < end.seq {
            add(format!(
                "AuditEvent/{chain}-{} to {chain}-{}: taken out of the audit",
                seq + 1,
                end.seq
            ));
        } else if *seq > end.seq || *hash != end.hash {
            add(format!(
                "AuditEvent/{chain}-{seq}: its chain does not end with it"
            ));
        }
    }
}

fn named(told: &Told) -> String {
    format!("AuditEvent/{}", event::id(told))
}
