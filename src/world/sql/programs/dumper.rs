//! `mariadb-dump`: writes what the databases held when it began, however they are changed meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::options::Options;
use crate::model::SiteName;
use crate::world::host::{Io, Machine, Process, Slice};
use crate::world::sql::dump::{self, Part, Wanted};
use crate::world::sql::session::Session;

const LOGIN: Duration = Duration::from_millis(50);

/// The program while it runs.
pub(super) struct Dumper {
    options: Options,
    open: Option<(SiteName, Session)>,
    parts: VecDeque<Part>,
}

impl Dumper {
    pub(super) fn new(_on: &Machine<'_>, options: Options) -> Self {
        Self { options, open: None, parts: VecDeque::new() }
    }

    /// Logs in, takes the snapshot, and lays out the dump.
    fn begin(&mut self, on: &Machine<'_>) -> Result<(), String> {
        let failed = |code: u16, words: &str, when: &str| format!("Got error: {code}: \"{words}\" when {when}");
        // Without these the text would be another one than this program knows to write.
        for needed in ["--single-transaction", "--hex-blob", "--default-character-set=utf8mb4", "--databases"] {
            if !self.options.has(needed) {
                return Err(format!("the simulated mariadb-dump does not know how to dump without {needed}"));
            }
        }
        let (site, session) = self.options.connect(on).map_err(|no| failed(no.code, &no.words, "trying to connect"))?;
        let wanted = Wanted {
            triggers: self.options.has("--triggers"),
            events: self.options.has("--events"),
            routines: self.options.has("--routines"),
        };
        let names = self.options.behind("--databases").to_vec();
        self.parts.push_back(dump::head(self.options.host(), names.first().map_or("", String::as_str)));
        for name in &names {
            let schema = on.state.sites[&site].sql.schemas.get(name).map(Arc::clone);
            let unknown = || failed(1049, &format!("Unknown database '{name}'"), "selecting the database");
            self.parts.extend(dump::database(name, &*schema.ok_or_else(unknown)?, wanted));
        }
        self.open = Some((site, session));
        Ok(())
    }
}

impl Process for Dumper {
    fn slice(&mut self, on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice {
        let Some((site, session)) = &self.open else {
            return match self.begin(on) {
                Ok(()) => Slice::Busy(LOGIN),
                Err(complaint) => {
                    io.complain(format!("mariadb-dump: {complaint}"));
                    Slice::Ended(2, LOGIN)
                }
            };
        };
        let Some(part) = self.parts.pop_front() else {
            io.say(dump::end(on.now()));
            return Slice::ended(0);
        };
        if !session.is_alive(on.state, site) {
            let Some((_, table, _, row)) = &part.table else {
                io.complain("mariadb-dump: Couldn't execute 'SHOW FIELDS': Server has gone away (2006)");
                return Slice::ended(2);
            };
            io.complain(format!(
                "mariadb-dump: Error 2013: Lost connection to server during query when dumping table `{table}` at row: {row}"
            ));
            return Slice::ended(3);
        }
        if let Some((db, name, born, row)) = &part.table {
            let now = on.state.sites[site].sql.schema(db).and_then(|schema| schema.tables.get(name));
            if now.is_none_or(|table| table.born != *born) {
                io.complain(format!(
                    "mariadb-dump: Error 1412: Table definition has changed, please retry transaction when dumping table `{name}` at row: {row}"
                ));
                return Slice::ended(3);
            }
        }
        io.say(&part.text);
        Slice::Busy(part.took)
    }
}
