//! The transport against a real SSH server that each test starts for itself on a loopback address, with its own keys.
//!
//! Needs `/usr/sbin/sshd` (Debian: openssh-server). A machine without it fails these tests; it does not skip them.

mod doctor;
mod lab;
mod servers;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use changeover::model::{HostName, Secret, SiteName};
use changeover::port::{
    Arg, Command, Exit, JobId, JobStart, JobState, Pipeline, Place, Reach, ReachError, ReachErrorKind,
};
use changeover::transport::World;

use lab::{ADDRESS, LIMIT, Lab, is_alive, make_key};

fn app1() -> Place {
    Place::Host(SiteName::new("a").expect("a name"), HostName::new("app1").expect("a name"))
}

fn sh(script: &str) -> Command {
    Command::new("sh").args(["-c", script])
}

fn job(name: &str) -> JobId {
    JobId::new(&["run", name])
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|i| u8::try_from((i * 7 + i / 251) % 256).expect("a byte")).collect()
}

async fn follow(world: &World, job: &JobId, mut offset: u64) -> (JobState, Vec<u8>) {
    let mut all = Vec::new();
    loop {
        let poll = world.job_poll(&app1(), job, offset, Duration::from_secs(10)).await.expect("a look");
        offset = poll.next_offset;
        all.extend_from_slice(&poll.output);
        if poll.output.is_empty() && poll.state != JobState::Running {
            return (poll.state, all);
        }
    }
}

async fn exec(world: &World, pipeline: impl Into<Pipeline>) -> Result<changeover::port::ExecOutput, ReachError> {
    world.exec(&app1(), &pipeline.into(), LIMIT).await
}

#[tokio::test]
async fn commands_run_and_their_endings_are_exact() {
    let lab = Lab::start();
    let world = lab.world();
    let data = bytes(3_000_000);
    let pipeline =
        Pipeline::from(Command::new("cat")).stdin(data.clone()).pipe(sh("tail -c 1000000; echo e >&2; exit 9"));
    let output = exec(&world, pipeline).await.expect("it ran");
    assert_eq!(output.exits, [Exit::Code(0), Exit::Code(9)]);
    assert!(output.stdout == data[2_000_000..], "the bytes differ");
    assert_eq!((output.stderr, output.truncated), (b"e\n".to_vec(), false));
    for (script, code) in [("exit 255", 255), ("exit 127", 127), ("kill -9 $$", 137)] {
        assert_eq!(exec(&world, sh(script)).await.expect("it ran").exits, [Exit::Code(code)], "{script}");
    }
    let long = exec(&world, Command::new("head").args(["-c", "5000000", "/dev/zero"])).await.expect("it ran");
    assert!(long.truncated && long.is_success());
    let secret = Pipeline::from(
        sh("cat \"$1\"; echo; echo \"$1\"").arg("sh").arg(Arg::SecretFile { before: String::new(), index: 0 }),
    )
    .secret_file(Secret::new("s3cret".into()));
    let said = exec(&world, secret).await.expect("it ran").text();
    let (content, path) = said.split_once('\n').expect("two lines");
    assert_eq!(content, "s3cret");
    assert!(!Path::new(path).exists());
}

#[tokio::test]
async fn many_commands_at_once_share_one_connection() {
    let lab = Lab::start();
    let (one, two) = (lab.world(), lab.world());
    let runs = (0..40).map(|i| {
        let world = if i % 2 == 0 { &one } else { &two };
        async move { exec(world, sh(&format!("sleep 0.05; echo {i}"))).await.expect("it ran").text() }
    });
    let said = futures::future::join_all(runs).await;
    assert_eq!(said, (0..40).map(|i| i.to_string()).collect::<Vec<_>>());
    assert_eq!(lab.logins().len(), 1, "two worlds, one connection");
}

#[tokio::test]
async fn the_connection_is_found_again_and_dialled_again() {
    let lab = Lab::start();
    let world = lab.world();
    world.preconnect().await;
    let first = lab.logins();
    assert_eq!(first.len(), 1);
    world.close().await;
    let next = lab.world();
    assert!(exec(&next, Command::new("true")).await.expect("it ran").is_success());
    assert_eq!(lab.logins(), first, "the next run found it");
    lab.cut();
    assert!(exec(&next, Command::new("true")).await.expect("it ran").is_success());
    assert_ne!(lab.logins(), first, "a new one was made without anybody noticing");
}

#[tokio::test]
async fn a_connection_cut_in_the_middle_is_lost_not_failed() {
    let lab = Lab::start();
    let world = lab.world();
    let slow = sh("echo begun >\"$1\"; sleep 66").args(["sh", &lab.text_path("mark")]);
    let cut = async {
        lab.line_of("mark").await;
        lab.cut();
    };
    let (outcome, ()) = tokio::join!(exec(&world, slow), cut);
    assert_eq!(outcome.expect_err("it was cut").kind, ReachErrorKind::Lost);
    assert!(exec(&world, Command::new("true")).await.expect("it ran").is_success());
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_told_to_stop() {
    let lab = Lab::start();
    let world = lab.world();
    world.preconnect().await;
    let slow = sh("echo $$ >\"$1\"; exec sleep 67").args(["sh", &lab.text_path("pid")]);
    let error = world.exec(&app1(), &slow.into(), Duration::from_secs(5)).await.expect_err("too slow");
    assert_eq!(error.kind, ReachErrorKind::Lost);
    let pid = lab.line_of("pid").await;
    let begun = Instant::now();
    while is_alive(&pid) {
        assert!(begun.elapsed() < LIMIT, "it still runs");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn unknown_and_changed_host_keys_are_refused_with_advice() {
    let lab = Lab::start();
    let known = lab.path("known_hosts");
    let right = fs::read_to_string(&known).expect("a file");
    fs::write(&known, "").expect("written");
    let error = exec(&lab.world(), Command::new("true")).await.expect_err("refused");
    assert_eq!(error.kind, ReachErrorKind::Denied);
    assert!(error.got.contains("not known"), "{error}");
    let hint = error.hint.expect("advice");
    assert!(hint.contains("ssh-keyscan") && hint.contains(known.to_str().expect("UTF-8")), "{hint}");
    make_key(&lab.path("other_key"));
    let other = fs::read_to_string(lab.path("other_key.pub")).expect("a key");
    fs::write(&known, format!("[{ADDRESS}]:{} {other}", lab.port)).expect("written");
    let error = exec(&lab.world(), Command::new("true")).await.expect_err("refused");
    assert_eq!(error.kind, ReachErrorKind::Denied);
    assert!(error.got.contains("not the one that is known") && error.got.contains("SHA256:"), "{error}");
    fs::write(&known, right).expect("written");
    assert!(exec(&lab.world(), Command::new("true")).await.expect("it ran").is_success());
}

/// A host that can be reached only from another one, as the operator's own ssh configuration says, and whose key is
/// known from the estate's own file only.
#[tokio::test]
async fn a_jump_host_leads_on_and_its_key_is_asked_too() {
    let (jump, behind) = (Lab::with_server_options("LogLevel VERBOSE"), Lab::with_server_options("LogLevel VERBOSE"));
    let name = "behind.invalid";
    let config = format!(
        "Host {name}\n  HostName {ADDRESS}\n  ProxyJump gate\n\
         Host gate\n  HostName {ADDRESS}\n  Port {}\n  IdentityFile {}\n",
        jump.port,
        jump.text_path("user_key")
    );
    fs::write(behind.path("ssh_config"), config).expect("written");
    let known = |lab: &Lab| fs::read_to_string(lab.path("known_hosts")).expect("a key") + "\n";
    let (gate, inner) = (known(&jump), known(&behind));
    for known in [&gate, &inner] {
        fs::write(behind.path("known_hosts"), known).expect("written");
        let error =
            exec(&behind.world_at(name), Command::new("true")).await.expect_err("one of the two keys is not known");
        assert!(matches!(error.kind, ReachErrorKind::Denied | ReachErrorKind::Unreachable), "{error}");
    }
    fs::write(behind.path("known_hosts"), format!("{gate}{inner}")).expect("written");
    let said = exec(&behind.world_at(name), Command::new("printenv").arg("XDG_STATE_HOME")).await.expect("it ran");
    assert_eq!(said.text(), behind.text_path("state"), "this is not the host behind");
    for lab in [&jump, &behind] {
        let log = fs::read_to_string(lab.path("sshd.log")).expect("its log");
        assert!(log.contains("Accepted publickey"), "nobody logged in: {log}");
    }
}

#[tokio::test]
async fn refusals_are_not_repeated_to_the_host() {
    let lab = Lab::with_server_options("LogLevel VERBOSE");
    fs::write(lab.path("authorized_keys"), "").expect("written");
    let world = lab.world();
    let tries = (0..10).map(|_| exec(&world, Command::new("true")));
    for outcome in futures::future::join_all(tries).await {
        let error = outcome.expect_err("refused");
        assert_eq!(error.kind, ReachErrorKind::Denied);
        assert!(error.got.contains("Permission denied"), "{error}");
        assert!(error.hint.is_some());
    }
    let log = fs::read_to_string(lab.path("sshd.log")).expect("a log");
    assert_eq!(log.matches("Connection from").count(), 2, "one was the test's own knock:\n{log}");
}

#[tokio::test]
async fn hosts_that_are_not_there_are_unreachable() {
    let mut lab = Lab::start();
    let mut server = lab.server.take().expect("it runs");
    server.kill().expect("killed");
    server.wait().expect("waited");
    let error = exec(&lab.world(), Command::new("true")).await.expect_err("nobody there");
    assert_eq!(error.kind, ReachErrorKind::Unreachable);
    assert!(error.got.contains("Connection refused"), "{error}");
    let world = lab.world();
    world.preconnect().await;
    lab.start_server();
    assert!(exec(&world, Command::new("true")).await.expect("it ran").is_success());
}

#[tokio::test]
async fn a_login_shell_that_is_none_is_denied() {
    let lab = Lab::with_server_options("ForceCommand echo this account is closed; exit 1");
    let error = exec(&lab.world(), Command::new("true")).await.expect_err("closed");
    assert_eq!(error.kind, ReachErrorKind::Denied);
    assert!(error.got.contains("this account is closed"), "{error}");
}

#[tokio::test]
async fn a_server_that_allows_few_channels_makes_us_wait() {
    let lab = Lab::with_server_options("MaxSessions 2");
    let world = lab.world();
    let runs = (0..12).map(|i| exec(&world, Command::new("echo").arg(i.to_string())));
    for (i, outcome) in futures::future::join_all(runs).await.into_iter().enumerate() {
        assert_eq!(outcome.expect("it ran").text(), i.to_string());
    }
}

#[tokio::test]
async fn a_job_goes_on_without_the_connection_and_is_found_again() {
    let lab = Lab::start();
    let world = lab.world();
    let job = job("cut");
    let work =
        sh("echo one; until [ -e \"$1\" ]; do sleep 0.05; done; echo two; exit 5").args(["sh", &lab.text_path("go")]);
    let work = Pipeline::from(work);
    assert_eq!(world.job_start(&app1(), &job, &work).await.expect("started"), JobStart::Started);
    let first = world.job_poll(&app1(), &job, 0, LIMIT).await.expect("a look");
    assert_eq!((first.state, &first.output[..]), (JobState::Running, &b"one\n"[..]));
    let cut = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        lab.cut();
    };
    let host = app1();
    let (look, ()) = tokio::join!(world.job_poll(&host, &job, 4, LIMIT), cut);
    assert_eq!(look.expect_err("it was cut").kind, ReachErrorKind::Unreachable, "a look changes nothing");
    fs::write(lab.path("go"), "").expect("written");
    // Another process, after the first one has been killed.
    drop(world);
    let next = lab.separate_world("r2");
    assert_eq!(next.job_start(&app1(), &job, &work).await.expect("found"), JobStart::AlreadyThere);
    assert_eq!(follow(&next, &job, 4).await, (JobState::Ended(vec![Exit::Code(5)]), b"two\n".to_vec()));
    assert!(lab.path("state/changeover/jobs").join(job.as_str()).exists());
    next.job_forget(&app1(), &job).await.expect("forgotten");
    assert_eq!(fs::read_dir(lab.path("state/changeover/jobs")).expect("a folder").count(), 0);
}

#[tokio::test]
async fn ten_starts_over_two_connections_are_one_job() {
    let lab = Lab::start();
    let (one, two) = (lab.world(), lab.separate_world("r2"));
    let job = job("ten");
    let work = Pipeline::from(sh("echo x >>\"$1\"; sleep 0.3").args(["sh", &lab.text_path("mark")]));
    let host = app1();
    let starts = (0..10).map(|i| if i % 2 == 0 { &one } else { &two }.job_start(&host, &job, &work));
    let place = futures::future::join_all(starts).await;
    let begun = place.iter().filter(|start| **start == Ok(JobStart::Started)).count();
    let found = place.iter().filter(|start| **start == Ok(JobStart::AlreadyThere)).count();
    assert_eq!((begun, found), (1, 9), "{place:?}");
    assert_eq!(follow(&one, &job, 0).await.0, JobState::Ended(vec![Exit::Code(0)]));
    assert_eq!(fs::read_to_string(lab.path("mark")).expect("it ran"), "x\n");
}

#[tokio::test]
async fn a_host_says_which_jobs_are_at_work_and_only_those() {
    let lab = Lab::start();
    let world = lab.world();
    let at_work = async || {
        let mut said = world.jobs_at_work(LIMIT).await;
        assert_eq!(said.remove(&Place::Console).expect("this machine was asked"), Ok(Vec::new()));
        said.remove(&app1()).expect("the host was asked")
    };
    assert_eq!(at_work().await, Ok(Vec::new()));
    let (ended, working, orphan) = (job("ended"), job("working"), job("orphan"));
    world.job_start(&app1(), &ended, &sh("exit 0").into()).await.expect("started");
    follow(&world, &ended, 0).await;
    let work = Pipeline::from(sh("echo $PPID; sleep 1000"));
    for job in [&working, &orphan] {
        world.job_start(&app1(), job, &work).await.expect("started");
    }
    assert_eq!(at_work().await, Ok(vec!["run.orphan".to_owned(), "run.working".to_owned()]));
    // A runner that is killed writes no ending, and what it began works on.
    let pid = fs::read_to_string(lab.path("state/changeover/jobs/run.orphan/pid")).expect("its runner");
    let runner = pid.split(' ').next().and_then(|pid| pid.parse().ok()).expect("its number");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(runner), nix::sys::signal::Signal::SIGKILL).expect("killed");
    assert_eq!(at_work().await, Ok(vec!["run.orphan".to_owned(), "run.working".to_owned()]));
    for job in [&working, &orphan] {
        let cancel = world.job_cancel(&app1(), job, Duration::from_secs(5)).await.expect("cancelled");
        assert_eq!(cancel.survivors, Vec::<String>::new());
    }
    assert_eq!(at_work().await, Ok(Vec::new()));
    // What works for another estate on the same host is none of our business.
    world.job_start(&app1(), &job("again"), &work).await.expect("started");
    let runner = lab.path("state/changeover/jobs/run.again/runner");
    let text = fs::read_to_string(&runner).expect("a runner");
    let (first, rest) = text.split_once('\n').expect("its first line");
    assert!(first.starts_with("# changeover: "), "{first}");
    fs::write(&runner, format!("{first}-other\n{rest}")).expect("it can be written");
    assert_eq!(at_work().await, Ok(Vec::new()));
    world.job_cancel(&app1(), &job("again"), Duration::from_secs(5)).await.expect("cancelled");
}

#[tokio::test]
async fn a_job_is_cancelled_with_its_grandchildren() {
    let lab = Lab::start();
    let world = lab.world();
    let job = job("cancel");
    let work = sh("sh -c 'sleep 68 & echo $! >\"$1\"; wait' sh \"$1\"").args(["sh", &lab.text_path("pid")]);
    world.job_start(&app1(), &job, &work.into()).await.expect("started");
    let grandchild = lab.line_of("pid").await;
    let cancel = world.job_cancel(&app1(), &job, Duration::from_secs(5)).await.expect("cancelled");
    assert_eq!((cancel.state, cancel.survivors.len()), (JobState::Ended(vec![Exit::Code(143)]), 0));
    assert!(!is_alive(&grandchild));
}

#[tokio::test]
async fn giving_up_a_command_leaves_the_others_alone() {
    let lab = Lab::start();
    let world = lab.world();
    world.preconnect().await;
    let slow = exec(&world, sh("sleep 1; echo done"));
    let hasty = async {
        for micros in (0..4000).step_by(100) {
            let limit = Duration::from_micros(micros);
            drop(tokio::time::timeout(limit, exec(&world, Command::new("true"))).await);
        }
    };
    let (outcome, ()) = tokio::join!(slow, hasty);
    assert_eq!(outcome.expect("its channel lived on").text(), "done");
    assert_eq!(lab.logins().len(), 1);
}
