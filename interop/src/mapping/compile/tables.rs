//! Code tables: ready to be looked up, both ways.

use std::collections::HashMap;

use fhir_spec::json::Text;

use super::super::error::Problem;
use super::super::plan::{TablePlan, number};
use super::super::row::Word;
use super::Compiler;
use super::fhir::End;

impl Compiler<'_> {
    pub(super) fn table(&mut self, word: &Word, end: &End<'_>) -> Result<u32, Problem> {
        let pack = self.pack;
        let place = pack
            .tables
            .iter()
            .position(|table| table.name.text == word.text);
        let Some((place, table)) = place.and_then(|place| Some((place, pack.tables.get(place)?)))
        else {
            return Err(Problem::new(word.at.clone(), "a code table of the pack").found(&word.text));
        };
        self.used.tables.insert(place);
        for row in &table.rows {
            if let Err(problem) = self.code_fits(&row.code, end, &row.at) {
                self.problems.push(problem);
            }
        }
        if let Some(found) = self.tables.get(&place) {
            return Ok(*found);
        }
        let mut plan = TablePlan {
            name: table.name.text.as_str().into(),
            rows: Vec::new(),
            by_source: HashMap::new(),
            by_code: HashMap::new(),
            otherwise: None,
            keeps: table.keeps,
            from_system: table.from_system.as_deref().map(Text::from),
            to_system: table.to_system.as_deref().map(Text::from),
        };
        for row in &table.rows {
            let here = number(plan.rows.len());
            plan.rows.push((
                row.code.as_str().into(),
                row.display.as_deref().map(Text::from),
            ));
            if row.sources.is_empty() && plan.otherwise.replace(here).is_some() {
                self.problems
                    .push(Problem::new(row.at.clone(), "one row for all others (*)"));
            }
            for source in &row.sources {
                if plan
                    .by_source
                    .insert(source.as_str().into(), here)
                    .is_some()
                {
                    self.problems
                        .push(Problem::new(row.at.clone(), "one row for each code").found(source));
                }
            }
            if let Some(source) = row.sources.first() {
                plan.by_code
                    .entry(row.code.as_str().into())
                    .or_insert_with(|| source.as_str().into());
            }
        }
        let here = number(self.plan.tables.len());
        self.plan.tables.push(plan);
        self.tables.insert(place, here);
        Ok(here)
    }
}
