//! A session: what a server answers to one statement after the other, and what it refuses in which words.

use std::fmt::Write as _;
use std::time::Duration;

use super::{answers, execute};
use crate::model::SiteName;
use crate::port::{SqlEndpoint, SqlRows, SqlStatement, SqlValue};
use crate::world::State;

/// What a server says when it says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlRefusal {
    /// The number, for example 1049.
    pub code: u16,
    /// The words, for example `Unknown database 'shop'`.
    pub words: String,
    /// True when it did not even let the session begin.
    pub at_login: bool,
}

impl SqlRefusal {
    /// A refusal of a statement.
    #[must_use]
    pub fn new(code: u16, words: impl Into<String>) -> Self {
        Self { code, words: words.into(), at_login: false }
    }

    /// The `SQLSTATE` that belongs to the number.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match self.code {
            1044 | 1049 | 1064 => "42000",
            1045 => "28000",
            1046 => "3D000",
            1048 | 1062 => "23000",
            1050 => "42S01",
            1051 | 1146 => "42S02",
            1136 => "21S01",
            1231 => "42000",
            1366 => "22007",
            _ => "HY000",
        }
    }

    /// A statement that is not understood from `near` on.
    #[must_use]
    pub fn syntax(text: &str, near: &str) -> Self {
        let before = &text[..text.len() - near.len()];
        let line = before.matches('\n').count() + 1;
        let near: String = near.chars().take(80).collect();
        Self::new(
            1064,
            format!(
                "You have an error in your SQL syntax; check the manual that corresponds to your MariaDB server \
                 version for the right syntax to use near '{near}' at line {line}"
            ),
        )
    }
}

/// A session that was let in.
#[derive(Debug, Clone)]
pub struct Session {
    /// The database in use.
    pub database: Option<String>,
    /// How long it waits for tables that others hold.
    pub lock_wait: Duration,
    /// The server's count of ended sessions when this one began.
    born: u32,
}

/// What a statement did.
#[derive(Debug)]
pub enum Ran {
    /// It is done, after so long.
    Done(SqlRows, Duration),
    /// It waits for a session that holds a table.
    Waits,
}

impl Session {
    /// Begins a session.
    ///
    /// # Errors
    /// When the server does not let this user in.
    pub fn begin(
        state: &State,
        site: &SiteName,
        user: &str,
        from: &str,
        password: Option<&str>,
    ) -> Result<Self, SqlRefusal> {
        let server = &state.sites[site].sql;
        if !server.lets_in(user, password) {
            let using = if password.is_some() { "YES" } else { "NO" };
            let words = format!("Access denied for user '{user}'@'{from}' (using password: {using})");
            return Err(SqlRefusal { at_login: true, ..SqlRefusal::new(1045, words) });
        }
        Ok(Self { database: None, lock_wait: Duration::from_hours(24), born: server.ended_sessions })
    }

    /// True while nothing has ended it.
    #[must_use]
    pub fn is_alive(&self, state: &State, site: &SiteName) -> bool {
        let server = &state.sites[site].sql;
        server.is_up() && server.ended_sessions == self.born
    }

    /// Runs one statement.
    ///
    /// # Errors
    /// The refusal.
    pub fn run(
        &mut self,
        state: &mut State,
        site: &SiteName,
        text: &str,
        values: &[SqlValue],
    ) -> Result<Ran, SqlRefusal> {
        match answers::answer(state, site, text, values) {
            Some(answer) => answer.map(|(rows, took)| Ran::Done(rows, took)),
            None => execute::execute(self, state, site, text),
        }
    }
}

/// The refusal of a session whose patience with others is at its end.
#[must_use]
pub fn waited_too_long() -> SqlRefusal {
    SqlRefusal::new(1205, "Lock wait timeout exceeded; try restarting transaction")
}

/// Runs statements one after the other in one session at a site; stops at the first that is refused. Also says how long
/// it took.
///
/// # Errors
/// The refusal.
pub fn session(
    state: &mut State,
    site: &SiteName,
    endpoint: &SqlEndpoint,
    statements: &[SqlStatement],
) -> (Result<Vec<SqlRows>, SqlRefusal>, Duration) {
    let mut took = Duration::from_millis(5);
    let from = endpoint.through.as_ref().and_then(|(site, host)| state.sites.get(site)?.hosts.get(host));
    let from = from.map_or("console", |host| host.address.as_str());
    let password = endpoint.password.as_ref().map(crate::model::Secret::expose);
    let mut session = match Session::begin(state, site, &endpoint.user, from, password) {
        Ok(session) => session,
        Err(refusal) => return (Err(refusal), took),
    };
    let mut answers = Vec::new();
    for (number, statement) in statements.iter().enumerate() {
        match session.run(state, site, &statement.text, &statement.values) {
            Ok(Ran::Done(rows, more)) => {
                took += more;
                answers.push(rows);
            }
            Ok(Ran::Waits) => return (Err(waited_too_long()), took + session.lock_wait),
            Err(mut refusal) => {
                // What carries the statements says which of them it was.
                if statements.len() > 1 {
                    // Writing to a `String` cannot fail.
                    let _ = write!(refusal.words, " (statement {} of {})", number + 1, statements.len());
                }
                return (Err(refusal), took);
            }
        }
    }
    (Ok(answers), took)
}
