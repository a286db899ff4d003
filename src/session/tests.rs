//! Real sockets, real journals, real processes.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::{Events, SessionError, Viewers, attach, socket};
use crate::journal::{RunJournal, Store};
use crate::model::{CancelReason, SiteName};
use crate::port::Sink;
use crate::run::sample::{self, Story, operator};
use crate::run::{Event, EventKind, RunCommand, RunState};

/// How long anything may take before the test is taken to hang.
const LONG: Duration = Duration::from_secs(30);
const UNIT: &str = "backup/snapshot@prod";

/// A run that is going on.
struct Stage {
    _state: TempDir,
    journal: Arc<RunJournal>,
    viewers: Viewers,
    commands: mpsc::Receiver<RunCommand>,
    all: Vec<Event>,
}

impl Stage {
    fn new() -> Self {
        Self::deep("")
    }

    /// A run whose folder is so much deeper.
    fn deep(below: &str) -> Self {
        let state = tempfile::tempdir().expect("a folder");
        let store = Store::open(&state.path().join(below), &SiteName::new("shop").expect("a name")).expect("a store");
        let journal = Arc::new(store.create_run(&sample::run_id()).expect("a journal"));
        let (sender, commands) = mpsc::channel(8);
        let viewers = Viewers::listen(Arc::clone(&journal), sender).expect("a socket");
        Self { _state: state, journal, viewers, commands, all: Vec::new() }
    }

    fn folder(&self) -> &Path {
        self.journal.folder()
    }

    /// Keeps events and tells them, as the engine does.
    async fn play(&mut self, events: &[Event]) {
        for event in events {
            self.journal.append(std::slice::from_ref(event)).await.expect("kept");
            self.viewers.publish(event);
            self.all.push(event.clone());
        }
    }

    async fn next_command(&mut self) -> Option<RunCommand> {
        tokio::time::timeout(LONG, self.commands.recv()).await.expect("in time")
    }

    async fn close(self) -> Vec<Event> {
        self.viewers.close(LONG).await;
        self.all
    }
}

/// A made-up run with so many lines of chatter.
fn chatty(lines: u64) -> Vec<Event> {
    let begun = Story::begun().stage("backup").start(UNIT);
    (0..lines).fold(begun, |story, n| story.progress(UNIT, n, None, "rows")).events
}

async fn read(events: &mut Events, count: usize) -> Vec<Event> {
    let mut got = Vec::new();
    while got.len() < count {
        let next = tokio::time::timeout(LONG, events.next()).await.expect("in time");
        got.push(next.expect("in order").expect("more to come"));
    }
    got
}

/// Everything up to the orderly end.
async fn drain(mut events: Events) -> Vec<Event> {
    let mut got = Vec::new();
    while let Some(event) = tokio::time::timeout(LONG, events.next()).await.expect("in time").expect("in order") {
        got.push(event);
    }
    got
}

#[tokio::test]
async fn viewers_see_everything_once_whenever_they_come() {
    let mut stage = Stage::new();
    let story = chatty(300);
    stage.play(&story[..100]).await;
    let (early, _keep_early) = attach(stage.folder(), 0).await.expect("attached");
    stage.play(&story[100..200]).await;
    let (late, _keep_late) = attach(stage.folder(), 150).await.expect("attached");
    let (ahead, _keep_ahead) = attach(stage.folder(), 0).await.expect("attached");
    stage.play(&story[200..]).await;
    let readers = [early, late, ahead].map(|events| tokio::spawn(drain(events)));
    let all = stage.close().await;
    let [early, late, ahead] = readers;
    let early = early.await.expect("a reader");
    assert_eq!(early, all);
    RunState::replay(&early).expect("a possible history");
    assert_eq!(late.await.expect("a reader"), all[150..]);
    assert_eq!(ahead.await.expect("a reader"), all);
}

#[tokio::test]
async fn events_arrive_as_they_happen() {
    let mut stage = Stage::new();
    let story = chatty(5);
    let (mut events, _commander) = attach(stage.folder(), 0).await.expect("attached");
    for event in &story {
        stage.play(std::slice::from_ref(event)).await;
        assert_eq!(read(&mut events, 1).await, std::slice::from_ref(event));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_that_does_not_read_holds_nothing_up_and_loses_nothing() {
    let mut stage = Stage::new();
    // Far more than what fits into the queue and the socket's buffers.
    let story = chatty(6_000);
    let (slow, _keep) = attach(stage.folder(), 0).await.expect("attached");
    let (brisk, _keep_brisk) = attach(stage.folder(), 0).await.expect("attached");
    let brisk = tokio::spawn(drain(brisk));
    tokio::time::timeout(LONG, stage.play(&story)).await.expect("the run was held up");
    let slow = tokio::spawn(drain(slow));
    let all = stage.close().await;
    assert_eq!(slow.await.expect("a reader").len(), all.len());
    assert_eq!(brisk.await.expect("a reader"), all);
}

#[tokio::test]
async fn a_viewer_that_never_reads_cannot_keep_the_process_alive() {
    let mut stage = Stage::new();
    let _attached = attach(stage.folder(), 0).await.expect("attached");
    stage.play(&chatty(6_000)).await;
    tokio::time::timeout(LONG, stage.viewers.close(Duration::from_millis(50))).await.expect("it ends");
}

#[tokio::test]
async fn a_viewer_that_goes_disturbs_nobody() {
    let mut stage = Stage::new();
    let story = chatty(200);
    let (stays, _keep) = attach(stage.folder(), 0).await.expect("attached");
    let stays = tokio::spawn(drain(stays));
    for part in story.chunks(20) {
        let (mut goes, commander) = attach(stage.folder(), 0).await.expect("attached");
        stage.play(part).await;
        read(&mut goes, 1).await;
        drop((goes, commander));
    }
    let all = stage.close().await;
    assert_eq!(stays.await.expect("a reader"), all);
}

#[tokio::test]
async fn commands_arrive_in_order_from_anybody() {
    let mut stage = Stage::new();
    stage.play(&chatty(0)).await;
    let (_events, mut first) = attach(stage.folder(), 0).await.expect("attached");
    let (_more_events, mut second) = attach(stage.folder(), 2).await.expect("attached");
    let pause = RunCommand::Pause { by: operator() };
    let cancel = RunCommand::Cancel { reason: CancelReason::Operator, by: Some(operator()) };
    first.send(pause.clone()).await.expect("given");
    first.send(cancel.clone()).await.expect("given");
    assert_eq!(stage.next_command().await, Some(pause.clone()));
    assert_eq!(stage.next_command().await, Some(cancel));
    second.send(pause.clone()).await.expect("given");
    assert_eq!(stage.next_command().await, Some(pause));
}

#[tokio::test]
async fn commands_are_taken_from_a_viewer_that_does_not_read() {
    let mut stage = Stage::new();
    let (_events, mut commander) = attach(stage.folder(), 0).await.expect("attached");
    stage.play(&chatty(6_000)).await;
    let pause = RunCommand::Pause { by: operator() };
    commander.send(pause.clone()).await.expect("given");
    assert_eq!(stage.next_command().await, Some(pause));
}

#[tokio::test]
async fn nonsense_is_answered_and_ends_the_viewer_only() {
    let mut stage = Stage::new();
    stage.play(&chatty(1)).await;
    for nonsense in ["hello\n", "{\"attach\":{}}\n", "{\"command\":{\"command\":\"explode\"}}\n", "\u{1b}[2J\n"] {
        let mut stream = socket::connect(stage.folder()).await.expect("connected");
        stream.write_all(nonsense.as_bytes()).await.expect("written");
        let mut lines = super::lines::Lines::new(stream, 100_000);
        let line = tokio::time::timeout(LONG, lines.next()).await.expect("in time").expect("read").expect("an answer");
        let line = String::from_utf8(line).expect("text");
        assert!(line.starts_with("{\"trouble\":\"this is not understood"), "{line}");
        assert!(!line.contains('\u{1b}'), "{line:?}");
        assert_eq!(tokio::time::timeout(LONG, lines.next()).await.expect("in time").expect("read"), None);
    }
    let mut stream = socket::connect(stage.folder()).await.expect("connected");
    // Endless lines are not held in memory.
    let mut written = 0;
    while written < 10_000_000 && stream.write_all(&[b'x'; 10_000]).await.is_ok() {
        written += 10_000;
    }
    assert!(written < 10_000_000, "it took ten megabytes");
    let (events, _keep) = attach(stage.folder(), 0).await.expect("attached");
    let events = tokio::spawn(drain(events));
    let all = stage.close().await;
    assert_eq!(events.await.expect("a reader"), all);
}

#[tokio::test]
async fn absent_gone_and_lost_are_told_apart() {
    let mut stage = Stage::new();
    stage.play(&chatty(1)).await;
    let folder = stage.folder().to_owned();
    // A socket as a killed process leaves it: the file is there, nobody listens.
    let ours = folder.join("run.sock");
    std::fs::rename(&ours, folder.join("kept.sock")).expect("moved");
    assert_eq!(attach(&folder, 0).await.err(), Some(SessionError::Absent));
    drop(std::os::unix::net::UnixListener::bind(&ours).expect("bound"));
    assert_eq!(attach(&folder, 0).await.err(), Some(SessionError::Gone));
    // One that goes away in the middle.
    std::fs::remove_file(&ours).expect("removed");
    let listener = std::os::unix::net::UnixListener::bind(&ours).expect("bound");
    let (mut events, _keep) = attach(&folder, 0).await.expect("attached");
    drop(listener.accept().expect("accepted"));
    assert_eq!(tokio::time::timeout(LONG, events.next()).await.expect("in time"), Err(SessionError::Lost));
    // A new process takes the place of what is left over.
    drop(listener);
    let again = socket::listen(&folder).expect("replaced");
    drop(again);
    assert_eq!(attach(&folder.join("nowhere"), 0).await.err(), Some(SessionError::Absent));
}

#[tokio::test]
async fn the_socket_goes_with_the_run_and_its_path_may_be_long() {
    let mut stage = Stage::deep(&"a-rather-long-name/".repeat(12));
    assert!(stage.folder().as_os_str().len() > 200);
    stage.play(&chatty(3)).await;
    let (events, _keep) = attach(stage.folder(), 0).await.expect("attached");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(stage.folder().join("run.sock")).expect("a socket").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    let events = tokio::spawn(drain(events));
    let folder = stage.folder().to_owned();
    let all = stage.close().await;
    assert_eq!(events.await.expect("a reader"), all);
    assert!(!folder.join("run.sock").exists());
    assert_eq!(attach(&folder, 0).await.err(), Some(SessionError::Absent));
}

#[tokio::test]
async fn what_is_kept_and_not_told_is_still_seen() {
    let mut stage = Stage::new();
    let story = chatty(50);
    stage.play(&story[..20]).await;
    let (mut events, _keep) = attach(stage.folder(), 0).await.expect("attached");
    read(&mut events, 20).await;
    stage.journal.append(&story[20..40]).await.expect("kept");
    let last = Event { kind: EventKind::Paused { by: operator() }, ..story[40].clone() };
    stage.journal.append(std::slice::from_ref(&last)).await.expect("kept");
    stage.viewers.publish(&last);
    assert_eq!(read(&mut events, 21).await, [&story[20..40], &[last]].concat());
}

/// Where another user tries to attach.
const FOLDER: &str = "CHANGEOVER_TEST_SOCKET_FOLDER";

#[test]
fn strangers_are_refused_even_when_the_door_is_open() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut stage = Stage::new();
        stage.play(&chatty(1)).await;
        let open =
            |path: &Path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).expect("opened");
        stage.folder().ancestors().take(4).for_each(open);
        open(&stage.folder().join("run.sock"));
        let output = Command::new(std::env::current_exe().expect("this executable"))
            .args(["--exact", "session::tests::is_a_stranger", "--nocapture"])
            .env(FOLDER, stage.folder())
            .uid(65_534)
            .stdin(Stdio::null())
            .output();
        // Another user may not be able to start this executable where it lies.
        let Ok(output) = output else { return };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains("got nothing"), "{said}");
    });
}

/// Not a test of its own: what the other user does.
#[test]
fn is_a_stranger() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let mut stream = std::os::unix::net::UnixStream::connect(Path::new(&folder).join("run.sock")).expect("connected");
    // The door may be shut before or after this is written.
    drop(std::io::Write::write_all(&mut stream, b"{\"attach\":{\"after\":0}}\n"));
    let mut got = Vec::new();
    let read = std::io::Read::read_to_end(&mut stream, &mut got);
    assert!(got.is_empty(), "{}", String::from_utf8_lossy(&got));
    drop(read);
    std::io::Write::write_all(&mut std::io::stdout(), b"\ngot nothing\n").expect("told");
}
