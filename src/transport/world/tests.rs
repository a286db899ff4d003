//! The scripts as they really run, on this machine, through `/bin/sh`.

use std::os::unix::fs::PermissionsExt;
use std::process::Command as Process;
use std::time::Instant;

use super::*;
use tokio::time::timeout;

use crate::port::{Arg, Command, Exit, JobState};

const AT: Place = Place::Console;
/// Far more than anything here takes, also on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);

struct Lab {
    folder: tempfile::TempDir,
    world: Arc<World>,
}

fn lab() -> Lab {
    let folder = tempfile::Builder::new().prefix("co").tempdir_in("/tmp").expect("a folder");
    let text = "name = \"t\"\nactive = \"a\"\n[sites.a]\nexchange = \"/x\"\nhosts.here = { local = true }\nhosts.bad = { address = \"-oProxyCommand=x\" }\n[sites.b]\nexchange = \"/x\"\n";
    let estate: Estate = toml::from_str(text).expect("an estate");
    let options = WorldOptions::new(folder.path().join("run"), folder.path().join("state"));
    let world = World::new(Arc::new(estate), options).expect("a world");
    Lab { folder, world: Arc::new(world) }
}

impl Lab {
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    fn job_folder(&self, job: &JobId) -> PathBuf {
        self.folder.path().join("state/jobs").join(job.as_str())
    }

    async fn exec(&self, pipeline: impl Into<Pipeline>) -> ExecOutput {
        self.world.exec(&AT, &pipeline.into(), LIMIT).await.expect("it ran")
    }

    /// Follows a job to its end and returns all of its output.
    async fn follow(&self, job: &JobId) -> (JobState, Vec<u8>) {
        let mut all = Vec::new();
        loop {
            let offset = all.len() as u64;
            let poll = self.world.job_poll(&AT, job, offset, Duration::from_secs(10)).await.expect("a look");
            assert_eq!(poll.next_offset, offset + poll.output.len() as u64);
            all.extend_from_slice(&poll.output);
            if poll.output.is_empty() && poll.state != JobState::Running {
                return (poll.state, all);
            }
        }
    }

    async fn start(&self, job: &JobId, pipeline: impl Into<Pipeline>) -> JobStart {
        self.world.job_start(&AT, job, &pipeline.into()).await.expect("a start")
    }

    /// Waits until a file has a line, and returns it.
    async fn line_of(&self, path: &str) -> String {
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < LIMIT, "nobody wrote {path}");
            if let Ok(text) = fs::read_to_string(path)
                && text.ends_with('\n')
            {
                return text.trim().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn sh(script: &str) -> Command {
    Command::new("sh").args(["-c", script])
}

fn job(name: &str) -> JobId {
    JobId::new(&["run", name])
}

fn bytes(count: usize) -> Vec<u8> {
    // Every byte value, and no short period.
    (0..count).map(|i| u8::try_from((i * 7 + i / 251) % 256).expect("a byte")).collect()
}

fn is_alive(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')))
}

#[tokio::test]
async fn every_member_has_its_exit_code() {
    let lab = lab();
    let output =
        lab.exec(Pipeline::from(sh("echo a; exit 3")).pipe(sh("cat; exit 0")).pipe(sh("cat; kill -9 $$"))).await;
    assert_eq!(output.exits, [Exit::Code(3), Exit::Code(0), Exit::Code(137)]);
    assert_eq!(output.stdout, b"a\n");
    let missing = lab.exec(Command::new("no-such-program-here")).await;
    assert_eq!(missing.exits, [Exit::Code(127)]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("not found"));
    assert!(missing.stdout.is_empty());
    let early = lab.exec(Pipeline::from(Command::new("yes")).pipe(Command::new("head").args(["-n", "1"]))).await;
    assert_eq!(early.exits[1], Exit::Code(0));
    assert!(!early.exits[0].is_success(), "yes was ended by a closed pipe");
}

#[tokio::test]
async fn arguments_environment_and_stdin_arrive_as_they_are() {
    let lab = lab();
    let odd = "it's \"$HOME\" `id` \\n ; & | * ? ~ \n\t é !x";
    let output = lab.exec(Command::new("printf").args(["%s", odd])).await;
    assert_eq!(String::from_utf8_lossy(&output.stdout), odd);
    let output = lab.exec(Command::new("printenv").arg("ODD").env("ODD", odd)).await;
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{odd}\n"));
    let data = bytes(300_000);
    let output = lab.exec(Pipeline::from(Command::new("cat")).stdin(data.clone())).await;
    assert_eq!(output.stdout, data);
    let output = lab.exec(Command::new("cat")).await;
    assert!(output.is_success() && output.stdout.is_empty(), "without stdin there is an empty one");
    assert_eq!(String::from_utf8_lossy(&lab.exec(sh("echo out; echo err >&2")).await.stderr), "err\n");
}

#[tokio::test]
async fn files_are_read_and_written_with_the_asked_mode() {
    let lab = lab();
    let (from, to) = (lab.path("in $(x) it's"), lab.path("-out"));
    fs::write(&from, b"content").expect("a file");
    let output = lab.exec(Pipeline::from(Command::new("cat")).from_file(&from).to_file(&to)).await;
    assert!(output.is_success() && output.stdout.is_empty());
    assert_eq!(fs::read(&to).expect("written"), b"content");
    assert_eq!(fs::metadata(&to).expect("there").permissions().mode() & 0o777, 0o600);
    lab.exec(Pipeline::from(Command::new("true")).to_file(lab.path("shared")).umask(0o002)).await;
    assert_eq!(fs::metadata(lab.path("shared")).expect("there").permissions().mode() & 0o777, 0o664);
    let output = lab.exec(Pipeline::from(Command::new("cat")).from_file(lab.path("missing"))).await;
    assert!(!output.is_success());
}

#[tokio::test]
async fn secret_files_are_closed_to_others_and_gone_afterwards() {
    let lab = lab();
    let secret = "first line\npass'word $x\n";
    let look = Pipeline::from(
        sh("stat -c '%a %n' \"${1#--file=}\"; cat \"${1#--file=}\"")
            .arg("sh")
            .arg(Arg::SecretFile { before: "--file=".into(), index: 0 }),
    )
    .secret_file(Secret::new(secret.into()))
    .stdin("x");
    let output = lab.exec(look).await;
    let said = output.text();
    let (first, rest) = said.split_once('\n').expect("two parts");
    let (mode, path) = first.split_once(' ').expect("mode and path");
    assert_eq!((mode, rest), ("600", secret.trim_end()));
    assert!(!Path::new(path).exists(), "{path} is still there");
    assert!(!Path::new(path).parent().expect("a folder").exists());
}

#[tokio::test]
async fn long_output_is_cut_and_says_so() {
    let lab = lab();
    let output = lab.exec(Command::new("head").args(["-c", "3000000", "/dev/zero"])).await;
    assert!(output.is_success() && output.truncated);
    assert_eq!(output.stdout.len(), 1024 * 1024);
    let exact = lab.exec(Command::new("head").args(["-c", "1048576", "/dev/zero"])).await;
    assert!(!exact.truncated);
    assert_eq!(exact.stdout.len(), 1024 * 1024);
}

#[tokio::test]
async fn a_daemon_that_keeps_the_output_open_holds_nobody_up() {
    let lab = lab();
    let begun = Instant::now();
    let output = lab.exec(sh("sleep 70 & echo $!")).await;
    assert!(begun.elapsed() < Duration::from_secs(30), "it waited for the daemon");
    let pid = output.text();
    assert!(is_alive(&pid), "what has been left in the background on purpose stays");
    assert!(Process::new("kill").arg(&pid).status().expect("kill").success());
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_lost_and_told_to_stop() {
    let lab = lab();
    let pid_file = lab.path("pid");
    let slow = sh("echo $$ >\"$1\"; exec sleep 60").args(["sh", &pid_file]);
    let error = lab.world.exec(&AT, &slow.into(), Duration::from_secs(5)).await.expect_err("too slow");
    assert_eq!(error.kind, ReachErrorKind::Lost);
    let pid = lab.line_of(&pid_file).await;
    while is_alive(&pid) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn places_that_cannot_work_are_refused() {
    let lab = lab();
    let place = |host: &str| Place::Host(SiteName::new("a").expect("a name"), HostName::new(host).expect("a name"));
    for host in ["bad", "missing"] {
        let error = lab.world.exec(&place(host), &Command::new("true").into(), LIMIT).await.expect_err("refused");
        assert_eq!(error.kind, ReachErrorKind::Denied, "{host}");
    }
    assert!(lab.world.exec(&place("here"), &Command::new("true").into(), LIMIT).await.expect("ran").is_success());
    let error = lab.world.exec(&AT, &Command::new("exit").into(), LIMIT).await.expect_err("no program");
    assert_eq!(error.kind, ReachErrorKind::Denied);
}

#[test]
fn a_runtime_folder_that_others_can_enter_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let estate: Arc<Estate> = Arc::new(toml::from_str("name = \"t\"\nactive = \"a\"\n[sites]\n").expect("an estate"));
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    let error = World::new(Arc::clone(&estate), WorldOptions::new(folder.path(), "/s")).expect_err("open to others");
    assert!(error.hint.unwrap_or_default().contains("chmod 700"));
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).expect("a mode");
    let long = folder.path().join("x".repeat(80));
    assert!(World::new(estate, WorldOptions::new(long, "/s")).expect_err("too long").got.contains("too long"));
}

#[tokio::test]
async fn a_job_runs_once_and_its_output_is_exact() {
    let lab = lab();
    let (job, data) = (job("exact"), bytes(700_000));
    let work = Pipeline::from(Command::new("cat")).stdin(data.clone()).pipe(sh("cat; echo err >&2; exit 4"));
    assert_eq!(lab.start(&job, work.clone()).await, JobStart::Started);
    let (state, output) = lab.follow(&job).await;
    assert_eq!(state, JobState::Ended(vec![Exit::Code(0), Exit::Code(4)]));
    assert_eq!(output, [&data[..], b"err\n"].concat());
    assert_eq!(lab.start(&job, work).await, JobStart::AlreadyThere);
    let middle = lab.world.job_poll(&AT, &job, 123_457, Duration::ZERO).await.expect("a look");
    assert_eq!(middle.output, data[123_457..123_457 + 256 * 1024]);
    let beyond = lab.world.job_poll(&AT, &job, 9_000_000, Duration::from_secs(5)).await.expect("a look");
    assert!(beyond.output.is_empty() && beyond.next_offset == 9_000_000);
    lab.world.job_forget(&AT, &job).await.expect("forgotten");
    assert!(!lab.job_folder(&job).exists());
    let gone = lab.world.job_poll(&AT, &job, 0, Duration::from_secs(5)).await.expect("a look");
    assert_eq!(gone.state, JobState::Absent);
}

#[tokio::test]
async fn long_output_is_handed_over_in_pieces_and_is_exact() {
    let lab = lab();
    let (job, data) = (job("stream"), bytes(5_000_000));
    lab.start(&job, Pipeline::from(Command::new("cat")).stdin(data.clone())).await;
    lab.follow(&job).await;
    let look = async |offset, most| {
        let (sender, mut pieces) = mpsc::channel(1);
        let look = Look { offset, wait: LIMIT, most };
        let collect = async {
            let mut all: Vec<Vec<u8>> = Vec::new();
            while let Some(piece) = pieces.recv().await {
                all.push(piece);
            }
            all
        };
        let (state, all) = tokio::join!(lab.world.job_follow(&AT, &job, look, sender), collect);
        (state.expect("a look"), all)
    };
    let ended = JobState::Ended(vec![Exit::Code(0)]);
    let (state, pieces) = look(7, 4_000_000).await;
    assert_eq!((state, pieces.concat()), (ended.clone(), data[7..4_000_007].to_vec()));
    assert!(pieces.len() > 10, "more than a mebibyte was kept together");
    assert_eq!(look(4_000_007, 4_000_000).await.1.concat(), data[4_000_007..]);
    assert_eq!(look(5_000_000, 4_000_000).await, (ended, Vec::new()));
}

#[tokio::test]
async fn a_reader_who_gives_up_holds_nobody_up() {
    let lab = lab();
    let job = job("unread");
    lab.start(&job, Pipeline::from(Command::new("cat")).stdin(bytes(3_000_000))).await;
    lab.follow(&job).await;
    let (sender, pieces) = mpsc::channel(1);
    drop(pieces);
    let look = Look { offset: 0, wait: LIMIT, most: 3_000_000 };
    let seen = timeout(LIMIT, lab.world.job_follow(&AT, &job, look, sender)).await.expect("it comes back");
    assert_eq!(seen.expect_err("not all was taken").kind, ReachErrorKind::Refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_starts_at_once_are_one_job() {
    let lab = lab();
    let (job, mark) = (job("ten"), lab.path("mark"));
    let work = Pipeline::from(sh("echo x >>\"$1\"; sleep 0.3").args(["sh", &mark]));
    let starts = (0..10).map(|_| {
        let (world, job, work) = (Arc::clone(&lab.world), job.clone(), work.clone());
        tokio::spawn(async move { world.job_start(&AT, &job, &work).await.expect("a start") })
    });
    let starts = join_all(starts).await;
    let begun = starts.iter().filter(|start| matches!(start, Ok(JobStart::Started))).count();
    assert_eq!((starts.len(), begun), (10, 1));
    assert_eq!(lab.follow(&job).await.0, JobState::Ended(vec![Exit::Code(0)]));
    assert_eq!(fs::read_to_string(mark).expect("it ran"), "x\n");
}

#[tokio::test]
async fn a_start_that_was_cut_off_is_completed_by_the_next() {
    let lab = lab();
    let (job, mark) = (job("cut"), lab.path("mark"));
    let work = Pipeline::from(sh("echo x >>\"$1\"").args(["sh", &mark]));
    assert_eq!(lab.start(&job, work.clone()).await, JobStart::Started);
    assert_eq!(lab.follow(&job).await.0, JobState::Ended(vec![Exit::Code(0)]));
    // As if the host had gone down between the rename and the first line of the runner.
    for name in ["pid", "exit", "output"] {
        fs::remove_file(lab.job_folder(&job).join(name)).expect("it was there");
    }
    assert_eq!(lab.start(&job, work).await, JobStart::AlreadyThere);
    assert_eq!(lab.follow(&job).await.0, JobState::Ended(vec![Exit::Code(0)]));
    assert_eq!(fs::read_to_string(mark).expect("it ran"), "x\nx\n");
}

#[tokio::test]
async fn secrets_of_a_job_go_when_the_work_ends() {
    let lab = lab();
    let job = job("secret");
    let work = Pipeline::from(Command::new("cat").arg(Arg::SecretFile { before: String::new(), index: 0 }))
        .secret_file(Secret::new("s3cret".into()));
    lab.start(&job, work).await;
    let (state, output) = lab.follow(&job).await;
    assert_eq!((state, &output[..]), (JobState::Ended(vec![Exit::Code(0)]), &b"s3cret"[..]));
    assert!(!lab.job_folder(&job).join("in").exists());
    let runner = fs::read_to_string(lab.job_folder(&job).join("runner")).expect("the runner");
    assert!(!runner.contains("s3cret"));
    assert_eq!(fs::metadata(lab.job_folder(&job)).expect("a folder").permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn cancel_ends_the_whole_group_and_keeps_the_codes() {
    let lab = lab();
    let (job, pid_file) = (job("cancel"), lab.path("pid"));
    let work = Pipeline::from(sh("sh -c 'sleep 61 & echo $! >\"$1\"; wait' sh \"$1\"").args(["sh", &pid_file]))
        .pipe(Command::new("cat"));
    lab.start(&job, work).await;
    let grandchild = lab.line_of(&pid_file).await;
    assert!(is_alive(&grandchild));
    let cancel = lab.world.job_cancel(&AT, &job, Duration::from_secs(5)).await.expect("cancelled");
    assert_eq!(cancel.survivors, Vec::<String>::new());
    assert_eq!(cancel.state, JobState::Ended(vec![Exit::Code(143), Exit::Code(143)]));
    assert!(!is_alive(&grandchild));
}

#[tokio::test]
async fn what_does_not_listen_is_killed_after_the_grace() {
    let lab = lab();
    let (job, pid_file) = (job("deaf"), lab.path("pid"));
    let work = sh("trap '' TERM; echo $$ >\"$1\"; while :; do sleep 0.1; done").args(["sh", &pid_file]);
    lab.start(&job, work).await;
    let deaf = lab.line_of(&pid_file).await;
    let begun = Instant::now();
    let cancel = lab.world.job_cancel(&AT, &job, Duration::from_millis(500)).await.expect("cancelled");
    assert!(begun.elapsed() >= Duration::from_millis(500));
    assert!(!is_alive(&deaf));
    assert_eq!(cancel.survivors, Vec::<String>::new());
    assert!(matches!(cancel.state, JobState::Ended(_)), "{:?}", cancel.state);
}

#[tokio::test]
async fn a_killed_job_is_seen_to_have_vanished_and_its_rest_can_be_stopped() {
    let lab = lab();
    let (job, pid_file) = (job("vanished"), lab.path("pid"));
    let work = Pipeline::from(sh("echo $$ >\"$1\"; exec sleep 62").args(["sh", &pid_file]))
        .secret_file(Secret::new("s".into()));
    lab.start(&job, work).await;
    let child = lab.line_of(&pid_file).await;
    let runner = fs::read_to_string(lab.job_folder(&job).join("pid")).expect("a pid file");
    let runner = runner.split(' ').next().expect("a pid");
    assert!(Process::new("kill").args(["-9", runner]).status().expect("kill").success());
    let (state, _) = lab.follow(&job).await;
    assert_eq!(state, JobState::Vanished);
    assert!(!lab.job_folder(&job).join("in").exists(), "the secret is gone although nobody was there to remove it");
    assert!(is_alive(&child));
    let cancel = lab.world.job_cancel(&AT, &job, Duration::from_secs(5)).await.expect("cancelled");
    assert_eq!((cancel.state, cancel.survivors.len()), (JobState::Vanished, 0));
    assert!(!is_alive(&child));
    lab.world.job_forget(&AT, &job).await.expect("forgotten");
    assert!(!lab.job_folder(&job).exists());
}

#[tokio::test]
async fn a_number_that_belongs_to_somebody_else_now_is_left_alone() {
    let lab = lab();
    let job = job("reused");
    lab.start(&job, sh("sleep 0.1")).await;
    lab.follow(&job).await;
    // A stranger with a session of its own now has the number that the pid file names.
    let mut stranger = Process::new("setsid").args(["sleep", "63"]).spawn().expect("a stranger");
    let pid = stranger.id().to_string();
    let file = lab.job_folder(&job).join("pid");
    let old = fs::read_to_string(&file).expect("a pid file");
    let fields: Vec<&str> = old.trim().split(' ').collect();
    fs::write(&file, format!("{pid} {} {}\n", fields[1], fields[2])).expect("written");
    fs::remove_file(lab.job_folder(&job).join("exit")).expect("removed");
    let cancel = lab.world.job_cancel(&AT, &job, Duration::from_millis(300)).await.expect("cancelled");
    assert_eq!((cancel.state, cancel.survivors.len()), (JobState::Vanished, 0));
    assert!(is_alive(&pid));
    stranger.kill().expect("killed");
    stranger.wait().expect("waited");
}

#[tokio::test]
async fn a_running_job_is_not_forgotten() {
    let lab = lab();
    let job = job("running");
    lab.start(&job, sh("sleep 64")).await;
    lab.world.job_forget(&AT, &job).await.expect("asked");
    let look = lab.world.job_poll(&AT, &job, 0, Duration::ZERO).await.expect("a look");
    assert_eq!(look.state, JobState::Running);
    lab.world.job_cancel(&AT, &job, Duration::from_secs(5)).await.expect("cancelled");
}

#[tokio::test]
async fn names_that_no_file_system_takes_are_shortened_and_stay_apart() {
    let lab = lab();
    let long = "x".repeat(300);
    let (one, two) = (JobId::new(&[&long, "1"]), JobId::new(&[&long, "2"]));
    lab.start(&one, sh("echo one")).await;
    lab.start(&two, sh("echo two")).await;
    assert_eq!(lab.follow(&one).await.1, b"one\n");
    assert_eq!(lab.follow(&two).await.1, b"two\n");
}

#[tokio::test]
async fn every_shell_that_may_be_sh_understands_the_scripts() {
    let estate = SiteName::new("estate").expect("a name");
    let folder = tempfile::tempdir().expect("a folder");
    let jobs = super::super::shell::quote(folder.path().join("jobs").to_str().expect("UTF-8"));
    for shell in ["/bin/sh", "/bin/bash"] {
        let run = async |script: &Script| local::run(shell, "here", script, LIMIT, None).await.expect("it ran");
        let pipeline = Pipeline::from(sh("cat; exit 3")).stdin("it's").pipe(Command::new("cat"));
        let said = run(&Script::pipeline("n", &pipeline).expect("a script")).await;
        assert_eq!(read_codes(&said.ending, 2), [Exit::Code(3), Exit::Code(0)], "{shell}");
        assert_eq!((&said.stdout[..], &said.stderr[..]), (&b"it's"[..], &b""[..]), "{shell}");
        let job = JobId::new(&["j", shell]);
        let slow = Pipeline::from(sh("echo on; sleep 71"));
        let said = run(&job::start("n", &jobs, (&estate, &job), &slow).expect("a script")).await;
        assert_eq!(job::read_start(&said.stdout), Some(JobStart::Started), "{shell}: {said:?}");
        let asked = Instant::now();
        let said = run(&job::poll("n", &jobs, &job, Look { offset: 0, wait: LIMIT, most: job::LOOK })).await;
        assert!(asked.elapsed() >= Duration::from_millis(400), "{shell}: more of it is waited for");
        let look = JobPoll { state: JobState::Running, output: b"on\n".to_vec(), next_offset: 3 };
        assert_eq!(job::read_poll(said.stdout.clone(), 0), Some(look), "{shell}: {said:?}");
        let said = run(&job::cancel("n", &jobs, &job, LIMIT)).await;
        let ended = JobCancel { state: JobState::Ended(vec![Exit::Code(143)]), survivors: Vec::new() };
        assert_eq!(job::read_cancel(&said.stdout), Some(ended), "{shell}: {said:?}");
        assert_eq!(run(&job::forget("n", &jobs, &job)).await.ending, "0", "{shell}");
    }
    assert_eq!(fs::read_dir(folder.path().join("jobs")).expect("a folder").count(), 0);
}

#[test]
fn sockets_of_killed_processes_are_swept() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    drop(std::os::unix::net::UnixListener::bind(path("f-dead")).expect("a socket"));
    drop(std::os::unix::net::UnixListener::bind(path("c-dead")).expect("a socket"));
    let _listening = std::os::unix::net::UnixListener::bind(path("f-alive")).expect("a socket");
    sweep(folder.path());
    assert_eq!(["f-dead", "c-dead", "f-alive"].map(|name| path(name).exists()), [false, true, true]);
}
