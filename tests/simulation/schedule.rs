//! A seed becomes a schedule: the world, what breaks when, when the program dies, and what the operator does. Pure.

use std::time::Duration;

use changeover::model::{HostName, SiteName};
use changeover::world::{Channel, Fault, Mishap, Spec, Zone};

use crate::journal::Death;

/// Everything that a seed decides.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub struct Schedule {
    pub spec: Spec,
    /// A whole copy is there from before.
    pub earlier_copy: bool,
    /// Everything is compared by content.
    pub deep: bool,
    /// The runbooks, one after the other, each with a record of its own.
    pub runbooks: Vec<&'static str>,
    /// What breaks when, from the beginning of the first run on.
    pub faults: Vec<(Duration, Fault)>,
    pub deaths: Vec<Death>,
    /// Nobody can be asked.
    pub unattended: bool,
    /// The operator says yes to everything that leads on.
    pub helpful: bool,
    /// Whether a run that ended badly is brought to a good end.
    pub recovers: bool,
    /// When the operator asks to stop, and whether at once.
    pub cancels: Vec<Duration>,
    /// Decides what the operator answers.
    pub answers: u64,
}

impl Schedule {
    pub fn of(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut spec = Spec::small(seed);
        spec.hosts = [rng.usize(1..=2), rng.usize(1..=2)];
        spec.nodes = [if rng.bool() { 1 } else { 3 }, 1];
        spec.documents = rng.u32(6..40);
        spec.rows = rng.u32(6..40);
        spec.files = rng.u32(4..12);
        spec.write_every = (rng.u8(..4) > 0).then(|| Duration::from_millis(rng.u64(700..9_000)));
        let runbooks = if rng.u8(..5) == 0 { vec!["backup", "transfer", "restore"] } else { vec!["replicate"] };
        let mut faults = Vec::new();
        // One in eight goes undisturbed.
        let disasters = [0, 1, 1, 1, 2, 2, 3, 4][rng.usize(..8)];
        for _ in 0..disasters {
            let at = Duration::from_millis(rng.u64(..26_000));
            let (fault, cure) = fault(&mut rng, &spec);
            if let Some(cure) = cure
                && rng.bool()
            {
                // Some are back before anybody noticed, some after all patience is gone.
                let lasts = [2, 20, 90, 400, 2_000][rng.usize(..5)];
                faults.push((at + Duration::from_secs(rng.u64(1..=lasts)), cure));
            }
            faults.push((at, fault));
        }
        faults.sort_by_key(|(at, _)| *at);
        let deaths = (0..[0, 0, 0, 1, 1, 2][rng.usize(..6)])
            .map(|_| Death { at: rng.usize(2..180), after: rng.bool() })
            .collect();
        let cancels =
            (0..[0, 0, 0, 0, 0, 1, 2][rng.usize(..7)]).map(|_| Duration::from_millis(rng.u64(..24_000))).collect();
        Self {
            spec,
            earlier_copy: rng.u8(..3) == 0,
            deep: rng.u8(..4) == 0,
            runbooks,
            faults,
            deaths,
            unattended: rng.bool(),
            helpful: false,
            recovers: true,
            cancels,
            answers: rng.u64(..),
        }
    }
}

/// A fault, and what mends it, if anything does.
fn fault(rng: &mut fastrand::Rng, spec: &Spec) -> (Fault, Option<Fault>) {
    let sites = Spec::sites();
    let number = rng.usize(..2);
    let site: SiteName = sites[number].clone();
    let host = HostName::new(format!("app{}", rng.usize(..spec.hosts[number]) + 1)).expect("a name");
    let zone = || Zone::Site(site.clone());
    let mishap = [Mishap::NotSent, Mishap::ReplyLost, Mishap::Twice][rng.usize(..3)];
    let all = [Channel::Exec, Channel::JobStart, Channel::JobPoll, Channel::Http, Channel::Sql, Channel::Redis];
    let channel = all[rng.usize(..all.len())];
    if rng.u8(..60) == 0 {
        return (Fault::DirectionTurns, None);
    }
    match rng.u8(..19) {
        0 => (Fault::HostDown { site: site.clone(), host: host.clone() }, Some(Fault::HostUp { site, host })),
        1 => (Fault::HostFreezes { site: site.clone(), host: host.clone() }, Some(Fault::HostThaws { site, host })),
        2 => (Fault::SiteDown { site: site.clone() }, Some(Fault::SiteUp { site })),
        3 => {
            let node = rng.usize(..spec.nodes[number]);
            (Fault::NodeDown { site: site.clone(), node }, Some(Fault::NodeUp { site, node }))
        }
        4 => (Fault::SnapshotPartial { site }, None),
        5 => (Fault::SqlDown { site: site.clone() }, Some(Fault::SqlUp { site })),
        6 => (Fault::ExchangeFull { site: site.clone() }, Some(Fault::ExchangeFreed { site })),
        7 => (Fault::DisksFull { site: site.clone() }, Some(Fault::DisksFreed { site })),
        8 => {
            let times = rng.u32(2..200);
            (Fault::DisksSlow { site: site.clone(), times }, Some(Fault::DisksSlow { site, times: 1 }))
        }
        9 => (Fault::ShareStalls { site: site.clone() }, Some(Fault::ShareAnswers { site })),
        10 => {
            let like = ["search-", "dump", "points/", "files-"][rng.usize(..4)].to_owned();
            (Fault::Rots { site, like }, None)
        }
        11 => {
            let mend = Fault::Mend { a: Zone::Console, b: zone() };
            (Fault::Cut { from: Zone::Console, to: zone() }, Some(mend))
        }
        12 => {
            let mend = Fault::Mend { a: Zone::Console, b: zone() };
            (Fault::Cut { from: zone(), to: Zone::Console }, Some(mend))
        }
        13 => {
            let (a, b) = (Zone::Site(sites[0].clone()), Zone::Site(sites[1].clone()));
            let (from, to) = if rng.bool() { (a.clone(), b.clone()) } else { (b.clone(), a.clone()) };
            (Fault::Cut { from, to }, Some(Fault::Mend { a, b }))
        }
        14 => {
            let seconds = rng.i64(-7200..7200);
            (
                Fault::ClockJumps { site: site.clone(), host: host.clone(), seconds },
                Some(Fault::ClockJumps { site, host, seconds: -seconds }),
            )
        }
        15 => (Fault::AppBreaks { site: site.clone(), host: host.clone() }, Some(Fault::AppMends { site, host })),
        _ => (Fault::Mishap { site, channel, mishap }, None),
    }
}
