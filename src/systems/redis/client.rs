//! Asking a Redis server, and turning its error replies into failures that say what to do.

use super::info::Info;
use crate::model::{Failure, FailureKind};
use crate::port::{RedisEndpoint, RedisReply};
use crate::systems::StepContext;

/// Words as a command.
pub(super) fn command(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// Reads all of `INFO` from one server.
pub(super) async fn look(cx: &StepContext, endpoint: &RedisEndpoint) -> Result<Info, Failure> {
    let tried = "read the state of Redis";
    let commands = [command(&["INFO"])];
    let replies = cx.unless_cancelled(tried, cx.reach.redis(endpoint, &commands)).await?;
    let replies = replies.map_err(|error| error.while_reading(tried))?;
    info_of(replies.first(), &format!("{tried} at {endpoint}"))
}

/// The `INFO` in a reply.
pub(super) fn info_of(reply: Option<&RedisReply>, tried: &str) -> Result<Info, Failure> {
    let strange = |got: String| Failure::new(FailureKind::Refused, tried, got);
    match reply {
        Some(RedisReply::Error(message)) => Err(refused(tried, message)),
        Some(reply) => match reply.text() {
            Some(text) => Info::parse(&text).map_err(strange),
            None => Err(strange(format!("an answer that is not text: {reply:?}"))),
        },
        None => Err(strange("no answer".to_owned())),
    }
}

/// The failure that an error reply means.
pub(super) fn refused(tried: &str, message: &str) -> Failure {
    let code = message.split_whitespace().next().unwrap_or_default();
    let (kind, hint) = match code {
        "NOAUTH" => (FailureKind::Refused, Some("give the service a `password` (and `user`) in the estate")),
        "WRONGPASS" => (FailureKind::Refused, Some("the `user` or `password` of the service in the estate is wrong")),
        "NOPERM" => (FailureKind::Refused, Some("allow the user the command and `+info` with ACL SETUSER")),
        "DENIED" => {
            (FailureKind::Refused, Some("the server is in protected mode: give it a password or a bind address"))
        }
        "LOADING" | "BUSY" | "MASTERDOWN" | "TRYAGAIN" => (FailureKind::Busy, Some("wait a little and try again")),
        "READONLY" => (FailureKind::Refused, Some("the server has become a replica; name its master in the estate")),
        "MISCONF" | "NOREPLICAS" => (FailureKind::Refused, Some("the server takes no writes until that is put right")),
        _ if message.contains("unknown command") => {
            (FailureKind::Refused, Some("the command is renamed or switched off in the server's configuration"))
        }
        _ if message.contains("DB index") || message.contains("invalid DB") => {
            (FailureKind::Invalid, Some("correct the service's `database` in the estate"))
        }
        _ => (FailureKind::Refused, None),
    };
    let failure = Failure::new(kind, tried, message);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
