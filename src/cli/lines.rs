//! The lines of output files, for the screen: a thread of its own reads what is asked for, and nothing else is held in
//! memory but where some lines begin, and where in the files they stand. Files are taken to grow, to be replaced or to be cut; what was read of them once
//! is not looked at again.

mod file;
mod index;
mod search;
mod splice;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::console::log::{LineRequest, Lines, LogSource};
use crate::journal::Printed;
use crate::model::SafeText;
use file::TextFile;
use search::{Search, Step};

/// How often the file that was asked for last is looked at again.
const LOOK: Duration = Duration::from_millis(100);
/// How long one thing may take before requests are looked at again.
const TURN: Duration = Duration::from_millis(10);
/// Files that are kept open, each with its index.
const OPEN: usize = 4;

/// The place to ask for lines. Dropping it ends the thread.
#[derive(Debug)]
pub struct LineStore {
    requests: Sender<LineRequest>,
}

impl LineStore {
    /// Starts the thread. `open` says where the output of a source's run is; nothing while there is none.
    pub fn start(open: impl Fn(&LogSource) -> Option<Printed> + Send + 'static) -> (Self, UnboundedReceiver<Lines>) {
        let (requests, received) = channel();
        let (answers, answered) = unbounded_channel();
        let clerk = Clerk {
            open: Box::new(open),
            requests: received,
            answers: answers.clone(),
            files: Vec::new(),
            born: 0,
            waiting: Vec::new(),
            watched: None,
        };
        if let Err(error) = std::thread::Builder::new().name("lines".to_owned()).spawn(move || clerk.work()) {
            let trouble = SafeText::line(&format!("no thread to read files can be started: {error}"));
            // The other end is returned below; it is there.
            drop(answers.send(Lines { trouble: Some(trouble), ..Lines::default() }));
        }
        (Self { requests }, answered)
    }

    /// Asks for lines. What is still waiting for the same file is not answered any more; the file that was asked for
    /// last is watched, and its lines come again when it has changed.
    pub fn ask(&self, request: LineRequest) {
        // Without the thread there is nobody to answer, which was told when it could not be started.
        drop(self.requests.send(request));
    }
}

/// A request that is not answered yet.
struct Waiting {
    request: LineRequest,
    search: Option<Search>,
    found: Option<bool>,
}

/// The file that was asked for last.
struct Watched {
    request: LineRequest,
    told: Option<Sight>,
}

/// What is known of a file: when it is the same, there is nothing to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sight {
    age: u64,
    bytes: u64,
    timed: u64,
    total: u64,
    counted: bool,
    trouble: Option<SafeText>,
}

struct Known {
    source: LogSource,
    file: TextFile,
    age: u64,
}

/// Where the output of a source's run is, if there is any.
type Finds = Box<dyn Fn(&LogSource) -> Option<Printed> + Send>;

/// The thread's own.
struct Clerk {
    open: Finds,
    requests: Receiver<LineRequest>,
    answers: UnboundedSender<Lines>,
    /// Those used last are last.
    files: Vec<Known>,
    born: u64,
    waiting: Vec<Waiting>,
    watched: Option<Watched>,
}

impl Clerk {
    fn work(mut self) {
        let mut look = Instant::now();
        while self.take_requests(look) {
            for waiting in std::mem::take(&mut self.waiting) {
                self.advance(waiting);
            }
            if Instant::now() >= look {
                self.look();
                look = Instant::now() + LOOK;
            }
            if self.answers.is_closed() {
                return;
            }
        }
    }

    /// Takes what was asked in the meantime; waits for it when there is nothing else to do. False at the end.
    fn take_requests(&mut self, look: Instant) -> bool {
        if self.waiting.is_empty() && !self.counting() {
            let first = if self.watched.is_none() {
                self.requests.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                self.requests.recv_timeout(look.saturating_duration_since(Instant::now()))
            };
            match first {
                Ok(request) => self.take(request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        loop {
            match self.requests.try_recv() {
                Ok(request) => self.take(request),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn take(&mut self, request: LineRequest) {
        self.waiting.retain(|waiting| waiting.request.source != request.source);
        let plain = LineRequest { find: None, ..request.clone() };
        match &mut self.watched {
            Some(watched) if watched.request.source == plain.source => watched.request = plain,
            watched => *watched = Some(Watched { request: plain, told: None }),
        }
        let search = request.find.clone().map(Search::new);
        self.waiting.push(Waiting { request, search, found: None });
    }

    /// Counts lines of the watched file for a moment. True when there are more.
    fn counting(&mut self) -> bool {
        let Some(watched) = &self.watched else { return false };
        let known = self.files.iter_mut().find(|known| known.source == watched.request.source);
        // What goes wrong here goes wrong again, and is told, when the file is looked at.
        known.is_some_and(|known| known.file.count(Instant::now() + TURN).is_ok() && !known.file.counted())
    }

    /// The file of a source as it is now.
    fn file(&mut self, source: &LogSource) -> Result<Option<&mut Known>, SafeText> {
        let at = self.files.iter().position(|known| known.source == *source);
        let known = at.map(|at| self.files.remove(at));
        let Some(place) = (self.open)(source) else { return Ok(None) };
        let still = known.and_then(|mut known| known.file.is_still(&place).then_some(known));
        let known = if let Some(known) = still {
            known
        } else {
            let opened = TextFile::open(source, &place).map_err(|error| SafeText::line(&error.to_string()))?;
            let Some(file) = opened else { return Ok(None) };
            self.born += 1;
            Known { source: source.clone(), file, age: self.born }
        };
        if self.files.len() >= OPEN {
            self.files.remove(0);
        }
        self.files.push(known);
        Ok(self.files.last_mut())
    }

    /// Forgets what a file was, after it could not be read.
    fn forget(&mut self, source: &LogSource) {
        self.files.retain(|known| known.source != *source);
    }

    /// Does some of what a request needs: answers it, or lets it wait on.
    fn advance(&mut self, mut waiting: Waiting) {
        let source = waiting.request.source.clone();
        let known = match self.file(&source) {
            Ok(Some(known)) => known,
            Ok(None) => return self.answer_without(&waiting, None),
            Err(trouble) => return self.answer_without(&waiting, Some(trouble)),
        };
        match known.advance(&mut waiting) {
            Ok(Some((lines, sight))) => {
                if let Some(watched) = self.watched.as_mut().filter(|watched| watched.request.source == source) {
                    watched.request = LineRequest { find: None, ..waiting.request };
                    watched.told = Some(sight);
                }
                self.send(lines);
            }
            Ok(None) => self.waiting.push(waiting),
            Err(error) => {
                self.forget(&source);
                self.answer_without(&waiting, Some(unreadable(&error)));
            }
        }
    }

    /// Tells that there is no file, or what is wrong with it.
    fn answer_without(&mut self, waiting: &Waiting, trouble: Option<SafeText>) {
        let source = &waiting.request.source;
        if let Some(watched) = self.watched.as_mut().filter(|watched| watched.request.source == *source) {
            watched.told = Some(Sight::without(trouble.clone()));
        }
        let found = waiting.request.find.is_some().then_some(false);
        self.send(Lines { source: Some(source.clone()), counted: true, found, trouble, ..Lines::default() });
    }

    /// Looks at the watched file again, and sends its lines when it has changed.
    fn look(&mut self) {
        let Some(mut watched) = self.watched.take() else { return };
        let source = watched.request.source.clone();
        if self.waiting.iter().any(|waiting| waiting.request.source == source) {
            // What was asked for is answered first: nobody can tell an answer without a finding from a look.
            self.watched = Some(watched);
            return;
        }
        let mut waiting = Waiting { request: watched.request.clone(), search: None, found: None };
        let known = self.file(&source).map(|known| {
            known.map(|known| {
                known.file.count(Instant::now() + TURN)?;
                let changed = watched.told.as_ref() != Some(&known.sight());
                if changed { known.advance(&mut waiting) } else { Ok(None) }
            })
        });
        let without = |trouble: Option<SafeText>| {
            let lines = Lines { source: Some(source.clone()), counted: true, trouble, ..Lines::default() };
            (Sight::without(lines.trouble.clone()), lines)
        };
        let (sight, lines) = match known {
            Ok(Some(Ok(Some((lines, sight))))) => (sight, lines),
            Ok(Some(Ok(None))) => {
                self.watched = Some(watched);
                return;
            }
            Ok(Some(Err(error))) => {
                self.forget(&source);
                without(Some(unreadable(&error)))
            }
            Ok(None) => without(None),
            Err(trouble) => without(Some(trouble)),
        };
        if watched.told.as_ref() != Some(&sight) {
            watched.told = Some(sight);
            self.send(lines);
        }
        self.watched = Some(watched);
    }

    fn send(&self, lines: Lines) {
        // Nobody listens any more: the thread ends after this turn.
        drop(self.answers.send(lines));
    }
}

impl Known {
    /// Does some of what a request needs, and answers it when that was all.
    fn advance(&mut self, waiting: &mut Waiting) -> io::Result<Option<(Lines, Sight)>> {
        let until = Instant::now() + TURN;
        self.file.count(until)?;
        if let Some(search) = &mut waiting.search {
            let step = loop {
                match search.step(&mut self.file, self.age)? {
                    Step::More if Instant::now() < until => {}
                    step => break step,
                }
            };
            match step {
                Step::More | Step::Uncounted => return Ok(None),
                Step::Found(line) => {
                    waiting.request.from = Some(line);
                    waiting.found = Some(true);
                }
                Step::Nowhere => waiting.found = Some(false),
            }
            waiting.search = None;
        }
        let file = &mut self.file;
        let count = waiting.request.count;
        let last = file.total().saturating_sub(u64::from(count));
        let (first, lines) = match waiting.request.from {
            Some(line) if line < file.known() => (line, file.lines(line, count)?),
            Some(_) if !file.counted() => return Ok(None),
            _ if file.counted() => (last, file.lines(last, count)?),
            // Nobody knows yet where the end is.
            _ if !file.complete() => return Ok(None),
            _ => {
                let lines = file.tail(count)?;
                (lines.len() as u64, lines)
            }
        };
        let sight = self.sight();
        let lines = Lines {
            source: Some(self.source.clone()),
            first,
            total: sight.total,
            counted: sight.counted,
            bytes: sight.bytes,
            lines,
            found: waiting.found,
            trouble: None,
        };
        Ok(Some((lines, sight)))
    }

    fn sight(&self) -> Sight {
        Sight {
            age: self.age,
            bytes: self.file.size(),
            timed: self.file.timed(),
            total: self.file.total(),
            counted: self.file.counted(),
            trouble: None,
        }
    }
}

impl Sight {
    fn without(trouble: Option<SafeText>) -> Self {
        Self { age: 0, bytes: 0, timed: 0, total: 0, counted: true, trouble }
    }
}

fn unreadable(error: &io::Error) -> SafeText {
    SafeText::line(&format!("what was printed cannot be read: {error}"))
}
