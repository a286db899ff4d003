//! The console in a terminal of 200x50: what it writes, and what it costs.

use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// A console that runs until this is dropped.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    began: Instant,
    seen: Arc<Mutex<Seen>>,
    /// The terminal ends with it.
    _master: Box<dyn MasterPty + Send>,
}

#[derive(Default)]
struct Seen {
    bytes: Vec<u8>,
    /// When its first frame was there: the badge is on every screen.
    frame: Option<Instant>,
}

impl Terminal {
    /// Opens the console of an estate, whose state and home are in `folder`.
    pub fn open(estate: &Path, folder: &Path) -> Self {
        let size = PtySize { rows: 50, cols: 200, pixel_width: 0, pixel_height: 0 };
        let pty = native_pty_system().openpty(size).expect("a pty");
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_changeover"));
        command.env("HOME", folder);
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        let state = folder.join("state");
        command.args(["--estate", &estate.display().to_string(), "--state-dir", &state.display().to_string()]);
        let mut reader = pty.master.try_clone_reader().expect("its output");
        let began = Instant::now();
        let child = pty.slave.spawn_command(command).expect("the console");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let sees = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut bytes = vec![0; 65_536];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                let mut seen = sees.lock().expect("nobody panics");
                seen.bytes.extend_from_slice(&bytes[..count]);
                if seen.frame.is_none() && seen.bytes.windows(6).any(|part| part == b" LIVE ") {
                    seen.frame = Some(Instant::now());
                }
            }
        });
        Self { child, began, seen, _master: pty.master }
    }

    /// Waits for the first frame and says how long after the start of the process it was there.
    pub fn first_frame(&self) -> Duration {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let seen = self.seen.lock().expect("nobody panics");
            if let Some(frame) = seen.frame {
                return frame - self.began;
            }
            assert!(Instant::now() < until, "no frame in twenty seconds: {}", String::from_utf8_lossy(&seen.bytes));
            drop(seen);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Its share of a core, in hundredths, and the bytes it writes in a second, both over `time`.
    pub fn cost(&self, time: Duration) -> (f64, f64) {
        let pid = self.child.process_id().expect("a process");
        let written = || self.seen.lock().expect("nobody panics").bytes.len();
        let (from, before, bytes) = (Instant::now(), ticks(pid), written());
        std::thread::sleep(time);
        let (used, more, took) = (ticks(pid) - before, written() - bytes, from.elapsed().as_secs_f64());
        let more = u32::try_from(more).expect("a terminal is slower");
        (f64::from(used) / took, f64::from(more) / took)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The processor time of a process, in hundredths of a second (`/proc/PID/stat`, fields 14 and 15).
fn ticks(pid: u32) -> u32 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("its name").split_whitespace().collect();
    [11, 12].map(|field: usize| fields[field].parse::<u32>().expect("a number")).iter().sum()
}
