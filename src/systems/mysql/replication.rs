//! What a server says of replicating from another: threads, lag, positions, in the words of every version. Pure.

use crate::port::{SqlRows, SqlValue};

/// Of how many servers a shortened GTID set names the transactions.
const SERVERS: usize = 2;
/// The length of a server's identifier.
const UUID: usize = 36;

/// One channel of a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Whom it follows.
    pub source: String,
    /// `Yes`, `No`, `Connecting`.
    pub receiver: String,
    /// `Yes`, `No`.
    pub applier: String,
    /// Seconds behind, when the server knows; no word on what has not arrived.
    pub behind: Option<u64>,
    /// What it has applied: the executed GTID set, or the GTID position.
    pub applied: Option<String>,
    /// The last error of either thread.
    pub error: Option<String>,
}

impl Channel {
    /// All channels of an answer; none when the server is no replica. Columns are found by name: they changed with the
    /// versions.
    #[must_use]
    pub fn all(status: &SqlRows) -> Vec<Self> {
        (0..status.rows.len()).map(|row| Self::of(status, row)).collect()
    }

    fn of(status: &SqlRows, row: usize) -> Self {
        let get = |names: &[&str]| names.iter().find_map(|name| status.get(row, name)).and_then(SqlValue::text);
        let said = |names: &[&str]| get(names).filter(|text| !text.is_empty());
        let or = |names: &[&str]| said(names).unwrap_or_else(|| "?".to_owned());
        Self {
            source: format!("{}:{}", or(&["Source_Host", "Master_Host"]), or(&["Source_Port", "Master_Port"])),
            receiver: or(&["Replica_IO_Running", "Slave_IO_Running"]),
            applier: or(&["Replica_SQL_Running", "Slave_SQL_Running"]),
            behind: get(&["Seconds_Behind_Source", "Seconds_Behind_Master"]).and_then(|text| text.parse().ok()),
            applied: said(&["Executed_Gtid_Set", "Gtid_Slave_Pos"]).map(|text| text.replace('\n', "")),
            error: said(&["Last_IO_Error"]).or_else(|| said(&["Last_SQL_Error"])),
        }
    }

    /// True when both threads run.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.receiver == "Yes" && self.applier == "Yes"
    }
}

/// A GTID set or position short enough to be read: identifiers by their first letters, of many ranges the first and the
/// last, of many servers the first few.
#[must_use]
pub fn shortened(gtids: &str) -> String {
    let servers: Vec<String> = gtids.split(',').map(str::trim).filter(|part| !part.is_empty()).map(one).collect();
    let shown = servers.iter().take(SERVERS).map(String::as_str).collect::<Vec<_>>().join(",");
    match servers.len().saturating_sub(SERVERS) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// What came from one server: `3e11fa47…:1-5:…:9-12`, or `0-1-22`, which is short already.
fn one(part: &str) -> String {
    let mut words = part.split(':');
    let server = words.next().unwrap_or_default();
    let server = match server.get(..8) {
        Some(start) if server.len() == UUID => format!("{start}…"),
        _ => server.to_owned(),
    };
    match words.collect::<Vec<_>>().as_slice() {
        [] => server,
        [first, _, .., last] => format!("{server}:{first}:…:{last}"),
        few => format!("{server}:{}", few.join(":")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::fake::rows;

    #[test]
    fn both_vocabularies_are_read() {
        let old = rows(
            &[
                "Master_Host",
                "Master_Port",
                "Slave_IO_Running",
                "Slave_SQL_Running",
                "Seconds_Behind_Master",
                "Gtid_IO_Pos",
                "Gtid_Slave_Pos",
            ],
            &[&["db1", "3306", "Yes", "Yes", "7", "0-1-9", "0-1-8"]],
        );
        let [channel] = &Channel::all(&old)[..] else { panic!("one channel") };
        assert_eq!((channel.source.as_str(), channel.runs(), channel.behind), ("db1:3306", true, Some(7)));
        assert_eq!(channel.applied.as_deref(), Some("0-1-8"));
        let new = rows(
            &[
                "Source_Host",
                "Source_Port",
                "Replica_IO_Running",
                "Replica_SQL_Running",
                "Seconds_Behind_Source",
                "Executed_Gtid_Set",
                "Last_IO_Error",
            ],
            &[&["db1", "3306", "Connecting", "Yes", "NULL", "u1:1-5,\nu2:1", "no route"]],
        );
        let [channel] = &Channel::all(&new)[..] else { panic!("one channel") };
        assert_eq!((channel.runs(), channel.behind, channel.error.as_deref()), (false, None, Some("no route")));
        assert_eq!(channel.applied.as_deref(), Some("u1:1-5,u2:1"));
        assert!(Channel::all(&rows(&["Master_Host"], &[])).is_empty());
    }

    #[test]
    fn a_long_gtid_set_is_shortened() {
        let uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        for (set, short) in [
            ("0-1-22".to_owned(), "0-1-22"),
            ("0-1-22,1-2-5,2-3-7".to_owned(), "0-1-22,1-2-5 and 1 more"),
            (format!("{uuid}:1-5"), "3e11fa47…:1-5"),
            (format!("{uuid}:1-5:7"), "3e11fa47…:1-5:7"),
            (format!("{uuid}:1-5:7:9-12"), "3e11fa47…:1-5:…:9-12"),
            (format!("{uuid}:1-5, {uuid}:1,{uuid}:2,{uuid}:3"), "3e11fa47…:1-5,3e11fa47…:1 and 2 more"),
            (String::new(), ""),
        ] {
            assert_eq!(shortened(&set), short, "{set}");
        }
    }
}
