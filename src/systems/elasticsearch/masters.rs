//! What the nodes of a cluster say of their master: asks each of them, and tells what the answers mean together. A check
//! wants every node to agree; a light tells a node that is alone from a cluster that is broken.

use std::time::Duration;

use futures::future::join_all;

use super::answers::{LocalMaster, Nodes};
use super::ask::Ask;
use super::client::Client;
use crate::model::{Counted, Failure, Span};

/// What the nodes of a cluster say of their master.
pub(super) struct Masters {
    /// Those that said something, by address.
    pub(super) seen: Vec<(String, LocalMaster)>,
    /// What is to be said of those that did not.
    pub(super) silent: Vec<String>,
}

impl Masters {
    /// Asks every node, all at once, and gives each so long to answer.
    ///
    /// # Errors
    /// When a node says something that cannot be understood.
    pub(super) async fn ask(client: &Client, patience: Duration, tried: &str) -> Result<Self, Failure> {
        let ask = Ask { timeout: patience, ..Ask::master_seen_locally() };
        let asked = client.settings.urls.iter().map(async |url| {
            let answer = tokio::time::timeout(patience, client.read_at(url, &ask)).await;
            (url, answer)
        });
        let mut masters = Self { seen: Vec::new(), silent: Vec::new() };
        for (url, answer) in join_all(asked).await {
            match answer {
                Ok(Ok(answer)) if answer.is_success() => masters.seen.push((url.clone(), answer.decode(tried)?)),
                Ok(Ok(answer)) => {
                    masters.silent.push(format!("{url} does not say who its master is: {}", answer.error()));
                }
                Ok(Err(error)) => masters.silent.push(format!("a node does not answer: {error}")),
                Err(_) => masters.silent.push(format!("{url} does not answer within {}", Span(patience))),
            }
        }
        Ok(masters)
    }

    /// The addresses at which the cluster is best asked: those that know a master, since others keep whoever asks
    /// waiting for one; all that answer when none does.
    pub(super) fn awake(&self) -> Vec<String> {
        let any_is_led = self.seen.iter().any(|(_, node)| node.is_led());
        let wanted = self.seen.iter().filter(|(_, node)| node.is_led() || !any_is_led);
        wanted.map(|(url, _)| url.clone()).collect()
    }

    /// What those that answered say together.
    pub(super) fn accord(&self) -> Accord {
        if let Some(why) = self.odd(LocalMaster::cluster, |url, said, other, known| {
            format!("{url} belongs to another cluster than {other} ({said}, not {known})")
        }) {
            return Accord::Split(why);
        }
        if let Some(why) = self.odd(LocalMaster::master, |url, said, other, known| {
            format!("{url} says that the master is {said}, {other} says {known}")
        }) {
            return Accord::Split(why);
        }
        let alone = self.seen.iter().filter(|(_, node)| !node.is_led());
        let alone: Vec<String> = alone.map(|(url, _)| url.clone()).collect();
        if alone.len() == self.seen.len() { Accord::Headless } else { Accord::Led { alone } }
    }

    /// The first node that says something else than the first that says anything: its address, what it says, the
    /// other's address and what that one says, in words.
    fn odd<'a>(
        &'a self,
        says: impl Fn(&'a LocalMaster) -> Option<&'a str>,
        words: impl Fn(&str, &str, &str, &str) -> String,
    ) -> Option<String> {
        let mut said = self.seen.iter().filter_map(|(url, node)| Some((url, says(node)?)));
        let (first, known) = said.next()?;
        said.find(|(_, other)| *other != known).map(|(url, other)| words(url, other, first, known))
    }
}

/// How far the nodes that answer agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Accord {
    /// All that name a master name the same one. The addresses of those that name none.
    Led {
        /// They have lost the others, or have not joined them.
        alone: Vec<String>,
    },
    /// Nobody names a master: there is no quorum.
    Headless,
    /// They name two masters, or are nodes of two clusters: who differs from whom.
    Split(String),
}

impl LocalMaster {
    /// Which cluster it belongs to; nothing of a node that does not say, or has not joined one.
    fn cluster(&self) -> Option<&str> {
        Some(self.cluster_uuid.as_str()).filter(|uuid| !uuid.is_empty() && self.has_joined())
    }

    /// The master of the cluster that it has joined.
    fn master(&self) -> Option<&str> {
        self.master_node.as_deref().filter(|_| self.has_joined())
    }

    fn has_joined(&self) -> bool {
        self.cluster_uuid != "_na_"
    }

    fn is_led(&self) -> bool {
        self.master().is_some()
    }
}

/// Whether all nodes agree with the one that was asked first.
///
/// # Errors
/// Which of them does not, and how.
pub(super) fn judge_masters(uuid: &str, master: Option<&str>, seen: &[(String, LocalMaster)]) -> Result<(), String> {
    for (url, node) in seen {
        if node.cluster_uuid != uuid {
            return Err(format!("{url} belongs to another cluster ({}, not {uuid})", node.cluster_uuid));
        }
        match node.master_node.as_deref() {
            None => return Err(format!("{url} knows no elected master")),
            Some(said) if master != Some(said) => {
                let other = master.unwrap_or("none");
                return Err(format!("{url} says that the master is {said}, another node says {other}"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// The nodes that may become master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Eligible(pub(super) u64);

impl Eligible {
    /// Asks how many there are; nothing when the cluster does not say so within `patience`.
    pub(super) async fn ask(client: &Client, patience: Duration) -> Option<Self> {
        let ask = Ask { timeout: patience, ..Ask::roles() };
        let asked = client.fetch::<Nodes>(&ask, "count the master-eligible nodes");
        let nodes = tokio::time::timeout(patience, asked).await.ok()?.ok()?;
        let eligible = nodes.nodes.values().filter(|node| node.may_lead()).count() as u64;
        (eligible > 0).then_some(Self(eligible))
    }

    /// How many of them may fail at once: more than half of them elect a master. Not more than this, and fewer while the
    /// servers still count votes of nodes that have left.
    pub(super) fn to_spare(self) -> u64 {
        self.0.saturating_sub(1) / 2
    }

    /// For people: `3 master-eligible nodes of which at most 1 may fail`.
    pub(super) fn in_words(self) -> String {
        let nodes = Counted(self.0, "master-eligible node", "master-eligible nodes");
        match self.to_spare() {
            0 => format!("{nodes} of which none may fail"),
            spare => format!("{nodes} of which at most {spare} may fail"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(url: &str, uuid: &str, master: Option<&str>) -> (String, LocalMaster) {
        (url.to_owned(), LocalMaster { cluster_uuid: uuid.into(), master_node: master.map(str::to_owned) })
    }

    #[test]
    fn nodes_must_agree() {
        let agreed = [node("u1", "A", Some("m1")), node("u2", "A", Some("m1"))];
        assert_eq!(judge_masters("A", Some("m1"), &agreed), Ok(()));
        for (second, said) in [
            (node("u2", "A", Some("m2")), "u2 says that the master is m2"),
            (node("u2", "A", None), "u2 knows no elected master"),
            (node("u2", "B", Some("m1")), "u2 belongs to another cluster"),
        ] {
            let wrong = judge_masters("A", Some("m1"), &[agreed[0].clone(), second]).expect_err("no agreement");
            assert!(wrong.contains(said), "{wrong}");
        }
    }

    #[test]
    fn a_node_that_is_alone_is_told_from_a_split() {
        let led = |alone: &[&str]| Accord::Led { alone: alone.iter().map(|&url| url.to_owned()).collect() };
        let split = |why: &str| Accord::Split(why.to_owned());
        let (first, m1) = (node("u1", "A", Some("m1")), Some("m1"));
        for (others, accord, awake) in [
            (vec![node("u2", "A", m1)], led(&[]), vec!["u1", "u2"]),
            (vec![node("u2", "A", None), node("u3", "A", m1)], led(&["u2"]), vec!["u1", "u3"]),
            (vec![node("u2", "_na_", None)], led(&["u2"]), vec!["u1"]),
            (vec![node("u2", "_na_", Some("m2"))], led(&["u2"]), vec!["u1"]),
            (vec![node("u2", "", m1)], led(&[]), vec!["u1", "u2"]),
            (
                vec![node("u2", "A", None), node("u3", "A", Some("m2"))],
                split("u3 says that the master is m2, u1 says m1"),
                vec!["u1", "u3"],
            ),
            (vec![node("u2", "B", None)], split("u2 belongs to another cluster than u1 (B, not A)"), vec!["u1"]),
        ] {
            let masters = Masters { seen: [vec![first.clone()], others].concat(), silent: Vec::new() };
            assert_eq!((masters.accord(), masters.awake()), (accord, awake.iter().map(ToString::to_string).collect()));
        }
        let headless = Masters { seen: vec![node("u1", "A", None), node("u2", "_na_", None)], silent: Vec::new() };
        assert_eq!((headless.accord(), headless.awake()), (Accord::Headless, vec!["u1".to_owned(), "u2".to_owned()]));
    }

    #[test]
    fn more_than_half_elect_a_master() {
        for (eligible, spare, words) in [
            (1, 0, "1 master-eligible node of which none may fail"),
            (2, 0, "2 master-eligible nodes of which none may fail"),
            (3, 1, "3 master-eligible nodes of which at most 1 may fail"),
            (4, 1, "4 master-eligible nodes of which at most 1 may fail"),
            (5, 2, "5 master-eligible nodes of which at most 2 may fail"),
        ] {
            let eligible = Eligible(eligible);
            assert_eq!((eligible.to_spare(), eligible.in_words().as_str()), (spare, words));
        }
    }
}
