//! `mariadb`: sends the statements it is given, one by one, and ends at the first that is refused.

use std::time::Duration;

use super::options::{NoWay, Options};
use crate::model::SiteName;
use crate::port::{SqlRows, SqlValue};
use crate::world::host::{Io, Machine, Process, Slice};
use crate::world::sql::script::{Piece, Script};
use crate::world::sql::session::{Ran, Session, waited_too_long};

const LOGIN: Duration = Duration::from_millis(50);
/// How much it does in one slice, at least.
const SLICE: Duration = Duration::from_millis(40);
/// How often a statement that waits for others is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The program while it runs.
pub(super) struct Client {
    options: Options,
    open: Option<(SiteName, Session)>,
    script: Script,
    /// A statement that waits for others, and for how long it did.
    waits: Option<(Piece, Duration)>,
    given: bool,
}

impl Client {
    pub(super) fn new(_on: &Machine<'_>, options: Options) -> Self {
        let mut script = Script::default();
        let given = options.has("--execute");
        if given && let Some(text) = options.behind("--execute").first() {
            script.feed(&mut text.clone().into_bytes(), true);
        }
        Self { options, open: None, script, waits: None, given }
    }
}

/// Says what went wrong, as the program does: the statement, and the error with its line.
fn complain(io: &mut Io<'_>, piece: &Piece, no: &NoWay) -> Slice {
    io.complain(format!("--------------\n{}\n--------------\n", piece.text));
    io.complain(format!("ERROR {} ({}) at line {}: {}", no.code, no.state, piece.line, no.words));
    Slice::ended(1)
}

/// Rows as `--batch --skip-column-names` prints them.
fn print(io: &mut Io<'_>, rows: &SqlRows) {
    for row in &rows.rows {
        let row: Vec<String> = row.iter().map(|value| value.text().unwrap_or_else(|| "NULL".to_owned())).collect();
        io.say(format!("{}\n", row.join("\t")));
    }
}

impl Process for Client {
    fn slice(&mut self, on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice {
        let Some((site, session)) = &mut self.open else {
            return match self.options.connect(on) {
                Ok(open) => {
                    self.open = Some(open);
                    Slice::Busy(LOGIN)
                }
                Err(no) => {
                    io.complain(format!("ERROR {} ({}): {}", no.code, no.state, no.words));
                    Slice::Ended(1, LOGIN)
                }
            };
        };
        if !self.given {
            self.script.feed(io.input, io.input_ended);
        }
        let mut took = Duration::ZERO;
        while took < SLICE {
            let (piece, waited) = match self.waits.take() {
                Some(waiting) => waiting,
                None => match self.script.next() {
                    Some(piece) => (piece, Duration::ZERO),
                    None if took > Duration::ZERO => break,
                    None if self.given || io.input_ended => return Slice::ended(0),
                    None => return Slice::Waiting,
                },
            };
            if !session.is_alive(on.state, site) {
                // It notices an ended session when it sends the next statement, or waits for the answer to one.
                let (code, words) = if waited.is_zero() {
                    (2006, "Server has gone away")
                } else {
                    (2013, "Lost connection to server during query")
                };
                return complain(io, &piece, &NoWay { code, state: "HY000", words: words.to_owned() });
            }
            match session.run(on.state, site, &piece.text, &[] as &[SqlValue]) {
                Ok(Ran::Done(rows, more)) => {
                    print(io, &rows);
                    took += more;
                }
                Ok(Ran::Waits) if waited >= session.lock_wait => {
                    return complain(io, &piece, &waited_too_long().into());
                }
                Ok(Ran::Waits) => {
                    self.waits = Some((piece, waited + LOOK));
                    return Slice::Busy(took + LOOK);
                }
                Err(refusal) => return complain(io, &piece, &refusal.into()),
            }
        }
        Slice::Busy(took)
    }
}
