//! When what messages have said of a resource was so. Written in the transaction that stores what they say.

use std::collections::HashMap;
use std::sync::LazyLock;

use diesel::sql_types::BigInt;

use super::connection::Connection;
use super::error::Error;
use super::query::{WIDTHS, in_lists, lists};
use super::resources::Rid;
use super::statement::{Bind, Statement};
use super::tx::Tx;
use super::view::View;
use crate::auth::Action;
use crate::instant::Instant;

static SELECT: LazyLock<Vec<String>> =
    LazyLock::new(|| lists("SELECT rid, at FROM snapshots WHERE rid IN (", "?", ")"));
static UPSERT: LazyLock<Vec<String>> = LazyLock::new(|| {
    let before = "INSERT INTO snapshots (rid, at) VALUES ";
    let after = " ON CONFLICT (rid) DO UPDATE SET at = excluded.at";
    lists(before, "(?, ?)", after)
});

impl View<'_> {
    /// When what is known of these resources was so, where messages have said it.
    pub fn told(
        &mut self,
        resources: &[(&'static str, Rid)],
    ) -> Result<HashMap<Rid, Instant>, Error> {
        for (resource_type, _) in resources {
            self.demand(&[Action::Read(resource_type), Action::Update(resource_type)])?;
        }
        let rids: Vec<Bind<'_>> = resources.iter().map(|(_, rid)| Bind::Int(rid.0)).collect();
        let mut told = HashMap::with_capacity(resources.len());
        let done = in_lists(&SELECT, &rids, Bind::Int(-1), &[], |sql, binds| {
            let statement = Statement::<(BigInt, BigInt)>::new(sql, binds);
            let rows: Vec<(i64, i64)> = self.connection.rows(statement)?;
            let rows = rows.into_iter();
            told.extend(rows.map(|(rid, at)| (Rid(rid), Instant::from_micros(at))));
            Ok(())
        });
        self.noted(done)?;
        Ok(told)
    }
}

impl Tx<'_> {
    /// What is stored of these resources was so at that time.
    pub fn tell(&mut self, resources: &[(&'static str, Rid)], at: Instant) -> Result<(), Error> {
        if resources.is_empty() {
            return Ok(());
        }
        for (resource_type, _) in resources {
            self.demand(&[Action::Update(resource_type)])?;
            self.touch(resource_type);
        }
        let mut rids: Vec<i64> = resources.iter().map(|(_, rid)| rid.0).collect();
        rids.sort_unstable();
        rids.dedup();
        let done = upsert(self.connection, &rids, at);
        self.noted(done)
    }
}

fn upsert(connection: &mut Connection, rids: &[i64], at: Instant) -> Result<(), Error> {
    let mut rest = rids;
    while !rest.is_empty() {
        // The largest that is filled.
        let mut fitting = WIDTHS.iter().zip(&*UPSERT).rev();
        let Some((width, sql)) = fitting.find(|(width, _)| **width <= rest.len()) else {
            return Ok(());
        };
        let (some, others) = rest.split_at(*width);
        let rows = some
            .iter()
            .flat_map(|rid| [Bind::Int(*rid), Bind::Int(at.micros())]);
        let binds: Vec<Bind<'_>> = rows.collect();
        connection.execute(Statement::new(sql, &binds))?;
        rest = others;
    }
    Ok(())
}
