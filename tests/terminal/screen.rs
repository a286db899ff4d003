//! A real pseudo terminal with the program in it: what it shows is read by a terminal emulator, and every wait is for
//! something to appear.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// How long anything may take before the test is taken to hang.
const LONG: Duration = Duration::from_mins(2);

/// The least time between two presses of a key.
const FINGERS: Duration = Duration::from_millis(400);

struct Seen {
    parser: vt100::Parser,
    raw: Vec<u8>,
    over: bool,
}

/// The program in a terminal.
pub struct Screen {
    /// Its other end, until that is taken away.
    line: Option<Line>,
    /// How the terminal was set before the program began.
    before: String,
    child: Box<dyn Child + Send + Sync>,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

/// The end of a terminal that people sit at.
struct Line {
    master: Box<dyn MasterPty + Send>,
    writer: Box<dyn Write + Send>,
    reading: JoinHandle<()>,
}

/// How a terminal is set, in words.
fn settings(master: &(dyn MasterPty + Send)) -> String {
    format!("{:?}", master.get_termios().expect("a terminal"))
}

fn size(width: u16, height: u16) -> PtySize {
    PtySize { rows: height, cols: width, pixel_width: 0, pixel_height: 0 }
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("a size")
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Screen {
    /// Starts a program in a terminal of this size.
    pub fn start(program: &Path, args: &[&str], folder: &Path, width: u16, height: u16) -> Self {
        Self::start_in(&[("TERM", "xterm-256color")], program, args, folder, width, height)
    }

    /// Starts a program in a terminal of this size that calls itself so in the environment.
    pub fn start_in(
        names: &[(&str, &str)],
        program: &Path,
        args: &[&str],
        folder: &Path,
        width: u16,
        height: u16,
    ) -> Self {
        Self::spawn(Self::command(names, program, args, folder), width, height)
    }

    /// What starts a program in an environment that has these names beside the most needed ones.
    pub fn command(names: &[(&str, &str)], program: &Path, args: &[&str], folder: &Path) -> CommandBuilder {
        let mut command = CommandBuilder::new(program);
        command.env_clear();
        for name in ["PATH", "HOME", "USER"] {
            if let Ok(value) = std::env::var(name) {
                command.env(name, value);
            }
        }
        command.env("LANG", "C.UTF-8");
        for (name, value) in names {
            command.env(name, value);
        }
        command.args(args);
        command.cwd(folder);
        command
    }

    /// Starts what there is to be started in a terminal of this size.
    pub fn spawn(command: CommandBuilder, width: u16, height: u16) -> Self {
        let pair = native_pty_system().openpty(size(width, height)).expect("a pseudo terminal");
        let before = settings(&*pair.master);
        let child = pair.slave.spawn_command(command).expect("the program can be started");
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().expect("the terminal can be read");
        let writer = pair.master.take_writer().expect("the terminal can be typed at");
        let parser = vt100::Parser::new(cells(height), cells(width), 0);
        let seen = Arc::new((Mutex::new(Seen { parser, raw: Vec::new(), over: false }), Condvar::new()));
        let shared = Arc::clone(&seen);
        let reading = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let read = reader.read(&mut buffer).unwrap_or(0);
                let mut seen = lock(&shared.0);
                if read == 0 {
                    seen.over = true;
                } else {
                    seen.parser.process(&buffer[..read]);
                    seen.raw.extend_from_slice(&buffer[..read]);
                }
                shared.1.notify_all();
                if seen.over {
                    return;
                }
            }
        });
        Self { line: Some(Line { master: pair.master, writer, reading }), before, child, seen }
    }

    fn line(&self) -> &Line {
        self.line.as_ref().expect("a terminal")
    }

    /// What the terminal shows.
    pub fn shown(&self) -> String {
        lock(&self.seen.0).parser.screen().contents()
    }

    /// Every byte that the program has written.
    pub fn raw(&self) -> Vec<u8> {
        lock(&self.seen.0).raw.clone()
    }

    /// Every byte that the program has written after its last picture, once there are no more.
    pub fn last_words(&self) -> String {
        let all = self.all();
        let (_, picture) = all.rsplit_once("\u{1b}[?2026h").expect("a picture");
        let (_, after) = picture.split_once("\u{1b}[?2026l").expect("its end");
        after.to_owned()
    }

    /// Every byte that the program has written, once there are no more.
    pub fn all(&self) -> String {
        let seen = self.seen.1.wait_timeout_while(lock(&self.seen.0), LONG, |seen| !seen.over);
        let (seen, late) = seen.unwrap_or_else(PoisonError::into_inner);
        assert!(!late.timed_out(), "the program still has the terminal");
        String::from_utf8_lossy(&seen.raw).into_owned()
    }

    /// True when the terminal is set as it was before the program began: lines, echo, signals of keys.
    pub fn is_set_as_before(&self) -> bool {
        settings(&*self.line().master) == self.before
    }

    /// True while the other screen of the terminal is shown: that of full-screen programs.
    pub fn is_full(&self) -> bool {
        lock(&self.seen.0).parser.screen().alternate_screen()
    }

    /// Waits until what is shown has this property.
    #[track_caller]
    pub fn wait(&self, what: &str, good: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        let mut seen = lock(&self.seen.0);
        loop {
            if good(&seen.parser.screen().contents()) {
                return;
            }
            assert!(begun.elapsed() < LONG, "{what} did not come; shown is:\n{}", seen.parser.screen().contents());
            assert!(
                !seen.over,
                "the program has ended before {what} came; shown is:\n{}",
                seen.parser.screen().contents()
            );
            seen = self.seen.1.wait_timeout(seen, Duration::from_millis(500)).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until this text is shown.
    #[track_caller]
    pub fn sees(&self, text: &str) {
        self.wait(&format!("{text:?}"), |shown| shown.contains(text));
    }

    /// Types bytes.
    pub fn send(&mut self, bytes: &str) {
        let Line { writer, .. } = self.line.as_mut().expect("a terminal");
        writer.write_all(bytes.as_bytes()).expect("it can be typed");
        writer.flush().expect("it can be typed");
    }

    /// Presses keys one after the other, round and round and as far apart as fingers do, until something is shown: what
    /// comes faster is taken for the end of something that a terminal has sent, and does nothing.
    #[track_caller]
    pub fn press_until(&mut self, keys: &[&str], what: &str, good: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        for key in keys.iter().cycle() {
            if good(&self.shown()) {
                return;
            }
            assert!(begun.elapsed() < LONG, "{what} did not come; shown is:\n{}", self.shown());
            self.send(key);
            let pressed = Instant::now();
            let mut seen = lock(&self.seen.0);
            while pressed.elapsed() < FINGERS && !good(&seen.parser.screen().contents()) {
                let rest = FINGERS.saturating_sub(pressed.elapsed());
                seen = self.seen.1.wait_timeout(seen, rest).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    /// Makes the terminal another size.
    pub fn resize(&self, width: u16, height: u16) {
        lock(&self.seen.0).parser.screen_mut().set_size(cells(height), cells(width));
        self.line().master.resize(size(width, height)).expect("a new size");
    }

    /// Shows what somebody else writes to the terminal.
    pub fn scribble(&self, text: &str) {
        lock(&self.seen.0).parser.process(format!("\u{1b}[5;5H{text}").as_bytes());
    }

    /// The process.
    pub fn pid(&self) -> i32 {
        self.child.process_id().and_then(|pid| i32::try_from(pid).ok()).expect("a process")
    }

    /// Sends the process a signal.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal).expect("the process is there");
    }

    /// Takes the terminal away, as a connection does that breaks.
    pub fn hang_up(&mut self) {
        lock(&self.seen.0).over = true;
        let Line { master, mut writer, reading } = self.line.take().expect("a terminal");
        // It comes back from the terminal, or as another picture, so that there is something to read.
        writer.write_all(b"\r").expect("it can be typed");
        reading.join().expect("it has read");
        drop((master, writer));
    }

    /// Waits for the end of the program. Returns its exit code.
    #[track_caller]
    pub fn ended(&mut self) -> u32 {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the process can be waited for") {
                return status.exit_code();
            }
            assert!(begun.elapsed() < LONG, "the program does not end; shown is:\n{}", self.shown());
            let seen = lock(&self.seen.0);
            drop(self.seen.1.wait_timeout(seen, Duration::from_millis(50)).unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // One that has ended needs no end.
        drop(self.child.kill());
    }
}
