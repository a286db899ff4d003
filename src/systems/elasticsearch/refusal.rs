//! What a server says when it refuses, and what that means to an operator. Pure.

use std::fmt;

use serde_json::Value;

use crate::model::{Failure, FailureKind};

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    /// The status code.
    pub status: u16,
    /// The server's name for it; empty when the answer is not one of a search server.
    pub kind: String,
    /// The server's words.
    pub reason: String,
}

impl ServerError {
    /// Reads the body of a refusal, whatever it is.
    #[must_use]
    pub fn read(status: u16, body: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |path: &str| value.pointer(path).and_then(Value::as_str).map(str::to_owned);
        let kind = text("/error/root_cause/0/type").or_else(|| text("/error/type")).unwrap_or_default();
        let mut reason = text("/error/root_cause/0/reason").or_else(|| text("/error/reason"));
        // The last cause is where a path or an operating system error is told.
        let mut cause = value.pointer("/error/caused_by");
        let mut deepest = None;
        while let Some(inner) = cause {
            deepest = inner.get("reason").and_then(Value::as_str).or(deepest);
            cause = inner.get("caused_by");
        }
        if let (Some(said), Some(deepest)) = (&mut reason, deepest)
            && !said.contains(deepest)
        {
            said.push_str(": ");
            said.push_str(deepest);
        }
        let reason = reason.or_else(|| text("/error")).unwrap_or_else(|| {
            let start: String = String::from_utf8_lossy(body).chars().take(300).collect();
            if kind.is_empty() { start } else { String::new() }
        });
        Self { status, kind, reason }
    }

    /// True when the thing asked for is not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.status == 404
    }

    /// The failure of a step that met it while it `tried` something.
    #[must_use]
    pub fn failure(&self, tried: &str) -> Failure {
        let kind = match (self.status, self.kind.as_str()) {
            // Both are refused before anything is done.
            (429 | 503, _) | (_, "concurrent_snapshot_execution_exception") => FailureKind::Busy,
            // So is an index whose shards do not work, or do not work yet: it was made a moment ago.
            (_, "snapshot_exception") if self.reason.contains("have primary shards") => FailureKind::Busy,
            _ => FailureKind::Refused,
        };
        let failure = Failure::new(kind, tried, self.to_string());
        match self.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }

    fn hint(&self) -> Option<&'static str> {
        Some(match (self.status, self.kind.as_str()) {
            (_, "master_not_discovered_exception" | "cluster_manager_not_discovered_exception") => {
                "the cluster has no elected master: see which of its nodes are down or cannot reach each other"
            }
            (_, "concurrent_snapshot_execution_exception") => {
                "another snapshot or deletion runs in this cluster; wait until it has ended"
            }
            (_, "snapshot_exception") if self.reason.contains("have primary shards") => {
                "those indices are red: see why with GET /_cluster/allocation/explain, or leave them out"
            }
            (401, _) => "look at `user` and `password`, or `api_key`, of the service in the estate",
            (403, "cluster_block_exception") => {
                "the index is blocked, by hand or because a disk passed the flood-stage watermark"
            }
            (403, _) => {
                "the user lacks a privilege: it needs to manage snapshots, indices and templates, and to monitor"
            }
            (_, _) if self.reason.contains("path.repo") => {
                "add the path to `path.repo` in the configuration of every node and restart them one by one"
            }
            (_, "repository_verification_exception") => {
                "every node must see the same folder and may write to it: look at the mount and at its owner on each node"
            }
            _ => return None,
        })
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status {}", self.status)?;
        for part in [&self.kind, &self.reason] {
            if !part.is_empty() {
                write!(f, ", {part}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read_whatever_they_are() {
        for (status, body, said, kind) in [
            (
                404,
                r#"{"error":{"root_cause":[{"type":"repository_missing_exception","reason":"[nope] missing"}],"type":"repository_missing_exception","reason":"[nope] missing"},"status":404}"#,
                "status 404, repository_missing_exception, [nope] missing",
                FailureKind::Refused,
            ),
            (
                500,
                r#"{"error":{"root_cause":[{"type":"repository_exception","reason":"[r] failed to create repository"}],"type":"repository_exception","reason":"x","caused_by":{"type":"a","reason":"b","caused_by":{"type":"c","reason":"location [/x] doesn't match any of the locations specified by path.repo because this setting is empty"}}},"status":500}"#,
                "status 500, repository_exception, [r] failed to create repository: location [/x] doesn't match any of the locations specified by path.repo because this setting is empty",
                FailureKind::Refused,
            ),
            (
                503,
                r#"{"error":{"root_cause":[{"type":"master_not_discovered_exception","reason":null}],"type":"master_not_discovered_exception","reason":null},"status":503}"#,
                "status 503, master_not_discovered_exception",
                FailureKind::Busy,
            ),
            (
                405,
                r#"{"error":"Incorrect HTTP method","status":405}"#,
                "status 405, Incorrect HTTP method",
                FailureKind::Refused,
            ),
            (502, "<html>bad gateway</html>", "status 502, <html>bad gateway</html>", FailureKind::Refused),
            (401, "", "status 401", FailureKind::Refused),
        ] {
            let error = ServerError::read(status, body.as_bytes());
            assert_eq!(error.to_string(), said);
            assert_eq!(error.failure("try").kind, kind, "{said}");
        }
        let hint = |status, kind: &str, reason: &str| {
            ServerError { status, kind: kind.into(), reason: reason.into() }.failure("try").hint.map(String::from)
        };
        assert!(hint(500, "repository_exception", "… path.repo …").is_some_and(|hint| hint.contains("every node")));
        assert!(hint(401, "security_exception", "").is_some_and(|hint| hint.contains("password")));
        assert!(hint(403, "cluster_block_exception", "").is_some_and(|hint| hint.contains("flood-stage")));
    }
}
