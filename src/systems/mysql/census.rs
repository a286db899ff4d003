//! What is in the databases of a server: tables, objects, who defined them, and exact row counts. Reading only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::access::Access;
use super::settings::quoted;
use crate::model::Failure;
use crate::points::{Counts, Measure};
use crate::port::{SqlRows, SqlStatement, SqlValue};
use crate::systems::StepContext;

/// How long counting one table may take.
const COUNT: Duration = Duration::from_hours(1);
/// How long one question to the catalogue of the server may take.
const LOOK: Duration = Duration::from_mins(2);

/// A table: database and name.
pub type TableKey = (String, String);
/// Rows per table.
pub type Rows = BTreeMap<TableKey, u64>;

/// A table as the server describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Database and name.
    pub key: TableKey,
    /// Its storage engine.
    pub engine: String,
    /// Rows, as the server estimates them.
    pub estimate: u64,
    /// Bytes of data and indexes.
    pub bytes: u64,
    /// Bytes of data.
    pub data: u64,
    /// True when older versions of rows are kept, which a dump does not hold.
    pub versioned: bool,
}

impl Table {
    /// True when a dump holds its rows: the engines left out keep them elsewhere.
    #[must_use]
    pub fn is_dumped(&self) -> bool {
        const ELSEWHERE: [&str; 6] = ["MRG_MYISAM", "FEDERATED", "CONNECT", "SPIDER", "OQGRAPH", "SPHINX"];
        !ELSEWHERE.iter().any(|engine| engine.eq_ignore_ascii_case(&self.engine))
    }

    /// True when one transaction sees one state of it.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        ["InnoDB", "RocksDB", "ndbcluster", "TokuDB"].iter().any(|engine| engine.eq_ignore_ascii_case(&self.engine))
    }
}

/// Everything in the databases that are copied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Census {
    /// The databases that exist.
    pub present: BTreeSet<String>,
    /// The tables, without views and sequences.
    pub tables: Vec<Table>,
    /// Per database: how many `views`, `sequences`, `routines`, `triggers`, `events`.
    pub objects: BTreeMap<String, BTreeMap<&'static str, u64>>,
    /// The accounts that views, routines, triggers and events run as: `user@host`.
    pub definers: BTreeSet<String>,
    /// The collations in use.
    pub collations: BTreeSet<String>,
    /// How many columns are generated from others.
    pub generated: u64,
}

/// The kinds of objects beside tables.
const OBJECTS: [&str; 5] = ["views", "sequences", "routines", "triggers", "events"];

fn statements(databases: &[&str]) -> Vec<SqlStatement> {
    let marks = vec!["?"; databases.len()].join(", ");
    let one = |text: String| {
        databases.iter().fold(SqlStatement::new(text), |statement, name| statement.bind(*name)).timeout(LOOK)
    };
    let defined = |table: &str, schema: &str| {
        one(format!(
            "SELECT {schema} AS db, definer AS defined_by, COUNT(*) AS number_of FROM information_schema.{table} \
             WHERE {schema} IN ({marks}) GROUP BY {schema}, definer"
        ))
    };
    vec![
        one(format!(
            "SELECT schema_name AS db, default_collation_name AS collation_used FROM information_schema.schemata \
             WHERE schema_name IN ({marks})"
        )),
        one(format!(
            "SELECT table_schema AS db, table_name AS item, table_type AS kind, engine AS engine_used, \
             table_rows AS estimate, data_length AS data_bytes, index_length AS index_bytes, \
             table_collation AS collation_used FROM information_schema.tables WHERE table_schema IN ({marks})"
        )),
        one(format!(
            "SELECT DISTINCT collation_name AS collation_used FROM information_schema.columns \
             WHERE table_schema IN ({marks}) AND collation_name IS NOT NULL"
        )),
        defined("views", "table_schema"),
        defined("routines", "routine_schema"),
        defined("triggers", "trigger_schema"),
        defined("events", "event_schema"),
        one(format!(
            "SELECT COUNT(*) AS number_of FROM information_schema.columns WHERE table_schema IN ({marks}) \
             AND (extra LIKE '%STORED GENERATED%' OR extra LIKE '%VIRTUAL GENERATED%')"
        )),
    ]
}

impl Census {
    /// Asks the server what is in its `databases`.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn take(cx: &StepContext, access: &Access, databases: &[&str]) -> Result<Self, Failure> {
        let what = format!("list what is in {}", databases.join(", "));
        Ok(Self::read(&access.ask(cx, &what, &statements(databases)).await?))
    }

    fn read(answers: &[SqlRows]) -> Self {
        let mut census = Self::default();
        let [schemata, tables, columns, views, routines, triggers, events, generated] = answers else {
            return census;
        };
        let text =
            |rows: &SqlRows, row: usize, name: &str| rows.get(row, name).and_then(SqlValue::text).unwrap_or_default();
        let number =
            |rows: &SqlRows, row: usize, name: &str| rows.get(row, name).and_then(SqlValue::number).unwrap_or(0);
        for rows in [schemata, tables, columns] {
            census.collations.extend((0..rows.rows.len()).map(|row| text(rows, row, "collation_used")));
        }
        census.collations.retain(|name| !name.is_empty());
        for row in 0..schemata.rows.len() {
            let db = text(schemata, row, "db");
            census.objects.insert(db.clone(), OBJECTS.iter().map(|kind| (*kind, 0)).collect());
            census.present.insert(db);
        }
        let mut add = |db: String, kind: &'static str, more: u64| {
            *census.objects.entry(db).or_default().entry(kind).or_default() += more;
        };
        for row in 0..tables.rows.len() {
            let db = text(tables, row, "db");
            match text(tables, row, "kind").as_str() {
                "VIEW" | "SYSTEM VIEW" => {}
                "SEQUENCE" => add(db, "sequences", 1),
                kind => {
                    let data = number(tables, row, "data_bytes");
                    census.tables.push(Table {
                        key: (db, text(tables, row, "item")),
                        engine: text(tables, row, "engine_used"),
                        estimate: number(tables, row, "estimate"),
                        bytes: data + number(tables, row, "index_bytes"),
                        data,
                        versioned: kind == "SYSTEM VERSIONED",
                    });
                }
            }
        }
        for (kind, rows) in [("views", views), ("routines", routines), ("triggers", triggers), ("events", events)] {
            for row in 0..rows.rows.len() {
                add(text(rows, row, "db"), kind, number(rows, row, "number_of"));
                census.definers.insert(text(rows, row, "defined_by"));
            }
        }
        census.generated = number(generated, 0, "number_of");
        census.tables.sort_by(|a, b| a.key.cmp(&b.key));
        census
    }

    /// Bytes of data and indexes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.tables.iter().map(|table| table.bytes).sum()
    }

    /// Bytes of data: about what a dump has before it is compressed.
    #[must_use]
    pub fn data(&self) -> u64 {
        self.tables.iter().map(|table| table.data).sum()
    }

    /// Rows, as the server estimates them.
    #[must_use]
    pub fn estimate(&self) -> u64 {
        self.tables.iter().map(|table| table.estimate).sum()
    }

    /// The tables whose rows a dump holds.
    #[must_use]
    pub fn dumped(&self) -> Vec<&Table> {
        self.tables.iter().filter(|table| table.is_dumped()).collect()
    }

    /// The engines in use.
    #[must_use]
    pub fn engines(&self) -> BTreeSet<String> {
        self.tables.iter().map(|table| table.engine.clone()).filter(|engine| !engine.is_empty()).collect()
    }

    /// Counts every dumped table exactly, all within one snapshot of the server.
    ///
    /// # Errors
    /// When the server cannot be asked, or a table goes away meanwhile.
    pub async fn count(&self, cx: &StepContext, access: &Access) -> Result<Rows, Failure> {
        let tables = self.dumped();
        let mut statements = vec![
            SqlStatement::new("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"),
            SqlStatement::new("START TRANSACTION WITH CONSISTENT SNAPSHOT"),
        ];
        let opening = statements.len();
        statements.extend(tables.iter().map(|table| {
            let (db, name) = (quoted(&table.key.0), quoted(&table.key.1));
            SqlStatement::new(format!("SELECT COUNT(*) AS number_of FROM {db}.{name}")).timeout(COUNT)
        }));
        let what = format!("count the rows of {} tables", tables.len());
        let answers = access.ask(cx, &what, &statements).await?;
        tables
            .iter()
            .zip(answers.iter().skip(opening))
            .map(|(table, answer)| {
                let number = answer.get(0, "number_of").and_then(SqlValue::number).ok_or_else(|| {
                    Failure::new(
                        crate::model::FailureKind::Refused,
                        &what,
                        format!("no number for {}", shown(&table.key)),
                    )
                })?;
                Ok((table.key.clone(), number))
            })
            .collect()
    }

    /// These row counts and the objects, as they go into a restore point and as they are compared.
    #[must_use]
    pub fn counts(&self, rows: &BTreeMap<TableKey, Measure>) -> Counts {
        let mut counts: Counts = rows
            .iter()
            .map(|(key, rows)| (format!("table {}", shown(key)), [("rows".to_owned(), rows.clone())].into()))
            .collect();
        for (db, objects) in &self.objects {
            let measures = counts.entry(format!("schema {db}")).or_default();
            let tables = rows.keys().filter(|(of, _)| of == db).count() as u64;
            measures.insert("tables".to_owned(), Measure::Exactly(tables));
            for (kind, number) in objects {
                measures.insert((*kind).to_owned(), Measure::Exactly(*number));
            }
        }
        counts
    }

    /// Counts tables and objects as they are now: what [`crate::points::compare`] takes as found.
    ///
    /// # Errors
    /// As [`Self::count`].
    pub async fn found(cx: &StepContext, access: &Access, databases: &[&str]) -> Result<Counts, Failure> {
        let census = Self::take(cx, access, databases).await?;
        let rows = census.count(cx, access).await?;
        Ok(census.counts(&exactly(&rows)))
    }
}

/// Rows as exact measures.
#[must_use]
pub fn exactly(rows: &Rows) -> BTreeMap<TableKey, Measure> {
    rows.iter().map(|(key, rows)| (key.clone(), Measure::Exactly(*rows))).collect()
}

/// For people: `shop.users`.
#[must_use]
pub fn shown(key: &TableKey) -> String {
    format!("{}.{}", key.0, key.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::fake::rows;

    fn answers() -> Vec<SqlRows> {
        let tables = ["db", "item", "kind", "engine_used", "estimate", "data_bytes", "index_bytes", "collation_used"];
        let defined = ["db", "defined_by", "number_of"];
        vec![
            rows(&["DB", "COLLATION_USED"], &[&["shop", "utf8mb4_general_ci"]]),
            rows(
                &tables,
                &[
                    &["shop", "users", "BASE TABLE", "InnoDB", "10", "100", "20", "utf8mb4_bin"],
                    &["shop", "old", "SYSTEM VERSIONED", "InnoDB", "1", "1", "1", "NULL"],
                    &["shop", "log", "BASE TABLE", "MyISAM", "1", "1", "0", "NULL"],
                    &["shop", "far", "BASE TABLE", "FEDERATED", "9", "9", "0", "NULL"],
                    &["shop", "v", "VIEW", "NULL", "NULL", "NULL", "NULL", "NULL"],
                    &["shop", "s", "SEQUENCE", "InnoDB", "1", "1", "0", "NULL"],
                ],
            ),
            rows(&["collation_used"], &[&["latin1_swedish_ci"]]),
            rows(&defined, &[&["shop", "root@localhost", "1"]]),
            rows(&defined, &[&["shop", "root@localhost", "2"], &["shop", "app@%", "1"]]),
            rows(&defined, &[]),
            rows(&defined, &[]),
            rows(&["number_of"], &[&["2"]]),
        ]
    }

    #[test]
    fn a_census_is_read_from_the_server_s_catalogue() {
        let census = Census::read(&answers());
        let names: Vec<&str> = census.tables.iter().map(|table| table.key.1.as_str()).collect();
        assert_eq!(names, ["far", "log", "old", "users"]);
        assert_eq!(census.dumped().len(), 3);
        assert_eq!((census.estimate(), census.bytes(), census.data()), (21, 132, 111));
        assert_eq!(census.definers.iter().map(String::as_str).collect::<Vec<_>>(), ["app@%", "root@localhost"]);
        assert_eq!((census.collations.len(), census.generated), (3, 2));
        let rows = exactly(&[(("shop".to_owned(), "users".to_owned()), 7)].into());
        let counts = census.counts(&rows);
        assert_eq!(counts["table shop.users"]["rows"], Measure::Exactly(7));
        let schema = &counts["schema shop"];
        for (kind, number) in
            [("tables", 1), ("views", 1), ("sequences", 1), ("routines", 3), ("triggers", 0), ("events", 0)]
        {
            assert_eq!(schema[kind], Measure::Exactly(number), "{kind}");
        }
    }

    #[test]
    fn database_names_are_bound_not_written() {
        for statement in statements(&["a", "b"]) {
            assert_eq!(statement.text.matches('?').count(), 2, "{}", statement.text);
            assert_eq!(statement.values.len(), 2);
        }
    }
}
