//! What becomes of a panic while the screen has the terminal: it is a defect of this program, and ends the screen.
//!
//! One in the screen's own thread gives the terminal back at once, and says what it is about.
//!
//! One in something that works beside the screen, a task or a thread, ends the screen as well, and in order. To go on and
//! say so in a line would cost less, but nobody can say what of the picture is not kept up any more: figures that stand
//! still look as if all were well, a run as if it had nothing to tell, and a key that nobody obeys as if it had not been
//! pressed. Runs live in processes of their own, so that all that ends is the look at them. Until then the terminal
//! stays the screen's: what the panic said waits, because it would be painted over, or stand in the middle of a picture.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, Write as _};
use std::panic::PanicHookInfo;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread::{self, ThreadId};

use tokio::sync::Notify;

use super::terminal;
use crate::model::SafeText;

static KNOWN: Mutex<Known> = Mutex::new(Known { screen: None, waiting: Vec::new() });
/// Something beside the screen has panicked.
static BESIDE: Notify = Notify::const_new();

/// What panics know of the screen.
struct Known {
    /// The thread that draws it.
    screen: Option<ThreadId>,
    /// What was said beside it, and waits until the terminal is given back.
    waiting: Vec<SafeText>,
}

fn known() -> MutexGuard<'static, Known> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes panics over from now on; this thread is the one that draws. What is said once the terminal is given back is
/// printed at once.
pub(super) fn take_over() {
    static ONCE: Once = Once::new();
    known().screen = Some(thread::current().id());
    ONCE.call_once(|| std::panic::set_hook(Box::new(heed)));
}

/// Returns once something beside the screen has panicked.
pub(super) async fn beside() {
    while known().waiting.is_empty() {
        BESIDE.notified().await;
    }
}

/// What was said beside the screen. To be asked for once the terminal is given back: nothing is added any more then.
pub(super) fn waiting() -> Vec<SafeText> {
    std::mem::take(&mut known().waiting)
}

fn heed(info: &PanicHookInfo<'_>) {
    let said = said(info);
    let mut known = known();
    if terminal::is_taken() && known.screen != Some(thread::current().id()) {
        known.waiting.push(said);
        BESIDE.notify_one();
        return;
    }
    drop(known);
    // At once, and not when it has unwound: a second panic on the way would end the program before.
    drop(terminal::give_back());
    drop(writeln!(io::stderr(), "{said}"));
}

/// What a panic says. Its text may hold text from outside.
fn said(info: &PanicHookInfo<'_>) -> SafeText {
    let message = info.payload_as_str().unwrap_or("it does not say why");
    let place = info.location().map(|place| format!("\n  at {place}")).unwrap_or_default();
    let thread = thread::current();
    let thread = thread.name().unwrap_or("one without a name");
    let way = Backtrace::capture();
    let way = match way.status() {
        BacktraceStatus::Captured => format!("\n{way}"),
        _ => "; with RUST_BACKTRACE=1 it is said how it came there".to_owned(),
    };
    SafeText::block(&format!("changeover has a defect: {message}{place}, in the thread {thread}{way}"))
}
