//! The leases of one process: taken before the first change at a site, looked after before every other one, kept alive
//! beside the steps, and given back at the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio_util::task::AbortOnDropHandle;

use crate::guard::{judge_direction, judge_lease};
use crate::model::{Failure, Lease, SiteName};
use crate::systems::lease::{HeldLease, read_standing, take};
use crate::systems::remote::path_arg;
use crate::systems::{StepContext, epoch};

/// What a process holds. Dropped without being given back, it is as silent as a process that died.
pub(super) struct Leases {
    own: Lease,
    sites: BTreeMap<SiteName, Mutex<Option<Held>>>,
}

struct Held {
    number: u64,
    lease: HeldLease,
    /// Says that the holder lives, until it is dropped.
    _keeper: AbortOnDropHandle<()>,
}

impl Leases {
    /// Nothing is held yet. `own` says whose leases these are going to be.
    pub(super) fn new<'a>(own: Lease, sites: impl Iterator<Item = &'a SiteName>) -> Self {
        Self { own, sites: sites.map(|site| (site.clone(), Mutex::default())).collect() }
    }

    /// Makes sure that this run, and no other, may change `site` now: its direction record agrees to the run, and the
    /// lease is held. Takes the lease when it was not held before.
    ///
    /// # Errors
    /// `Rule` when the direction is another one, or another run holds the lease; when the site cannot be asked.
    pub(super) async fn guard(&self, cx: &StepContext, site: &SiteName, epoch: Option<u64>) -> Result<(), Failure> {
        let Some(held) = self.sites.get(site) else { return Ok(()) };
        let number = held.lock().await.as_ref().map(|held| held.number);
        if let Some(number) = number {
            let standing = read_standing(cx, site, number).await?;
            judge_direction(site, standing.direction.as_ref(), &cx.direction, epoch)?;
            return judge_lease(site, &self.own, standing.at_own.as_ref(), standing.at_next.as_ref());
        }
        // Where nobody agrees about the direction, nothing is written, not even this.
        let record = epoch::read_record(cx, site).await?;
        judge_direction(site, record.as_ref(), &cx.direction, epoch)?;
        // One attempt takes it for all that began beside it.
        let mut held = held.lock().await;
        if held.is_none() {
            let number = take(cx, site, &self.own).await?;
            let sign = path_arg(&cx.tree(site)?.lease_sign(site, number))?;
            let lease = HeldLease { reach: Arc::clone(&cx.reach), place: cx.exchange_place(site)?, sign };
            let keeper = AbortOnDropHandle::new(tokio::spawn(lease.clone().keep()));
            *held = Some(Held { number, lease, _keeper: keeper });
        }
        Ok(())
    }

    /// Says at every site that this process changes nothing any more.
    pub(super) async fn give_back(&self) {
        let giving = self.sites.values().map(async |held| {
            let Some(Held { lease, _keeper: keeper, .. }) = held.lock().await.take() else { return };
            drop(keeper);
            lease.give_back().await;
        });
        futures::future::join_all(giving).await;
    }
}
