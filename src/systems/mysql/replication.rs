//! What a server says of replicating from another: threads, lag, positions, in the words of every version. Pure.

use crate::port::{SqlRows, SqlValue};

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
    /// What it has received and what it has applied: GTID sets, or the GTID position.
    pub gtid: Vec<String>,
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
        let gtid = ["Retrieved_Gtid_Set", "Executed_Gtid_Set", "Gtid_IO_Pos", "Gtid_Slave_Pos"];
        Self {
            source: format!("{}:{}", or(&["Source_Host", "Master_Host"]), or(&["Source_Port", "Master_Port"])),
            receiver: or(&["Replica_IO_Running", "Slave_IO_Running"]),
            applier: or(&["Replica_SQL_Running", "Slave_SQL_Running"]),
            behind: get(&["Seconds_Behind_Source", "Seconds_Behind_Master"]).and_then(|text| text.parse().ok()),
            gtid: gtid
                .iter()
                .filter_map(|name| said(&[name]).map(|text| format!("{name} {}", text.replace('\n', ""))))
                .collect(),
            error: said(&["Last_IO_Error"]).or_else(|| said(&["Last_SQL_Error"])),
        }
    }

    /// True when both threads run.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.receiver == "Yes" && self.applier == "Yes"
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
            ],
            &[&["db1", "3306", "Yes", "Yes", "7", "0-1-9"]],
        );
        let [channel] = &Channel::all(&old)[..] else { panic!("one channel") };
        assert_eq!((channel.source.as_str(), channel.runs(), channel.behind), ("db1:3306", true, Some(7)));
        assert_eq!(channel.gtid, ["Gtid_IO_Pos 0-1-9"]);
        let new = rows(
            &[
                "Source_Host",
                "Source_Port",
                "Replica_IO_Running",
                "Replica_SQL_Running",
                "Seconds_Behind_Source",
                "Last_IO_Error",
            ],
            &[&["db1", "3306", "Connecting", "Yes", "NULL", "no route"]],
        );
        let [channel] = &Channel::all(&new)[..] else { panic!("one channel") };
        assert_eq!((channel.runs(), channel.behind, channel.error.as_deref()), (false, None, Some("no route")));
        assert!(Channel::all(&rows(&["Master_Host"], &[])).is_empty());
    }
}
