//! The text of a dump, as `mariadb-dump` writes it for the options of the program: one row a line, code between
//! `DELIMITER` lines, views last. Pure: a snapshot goes in, pieces of text come out.

use std::fmt::Write as _;
use std::time::Duration;

use super::answers::VERSION;
use super::schema::{Code, Schema, Table};
use super::value::quoted;

/// How many rows stand in one statement. A real dump begins a new one after a megabyte; worlds are small.
const ROWS: usize = 20;
/// How long reading a row takes.
const ROW: Duration = Duration::from_millis(10);
/// How long reading a definition takes.
const DEFINITION: Duration = Duration::from_millis(15);

/// A part of a dump: what is written at once.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    /// The text.
    pub text: String,
    /// The table it is about: database, name, which change made it, and how many of its rows were written before.
    pub table: Option<(String, String, u64, usize)>,
    /// How long it takes.
    pub took: Duration,
}

fn part(text: String) -> Part {
    Part { text, table: None, took: DEFINITION }
}

/// What a dump begins with.
#[must_use]
pub fn head(host: &str, databases: &str) -> Part {
    part(format!(
        "/*M!999999\\- enable the sandbox mode */ \n\
         -- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)\n--\n\
         -- Host: {host}    Database: {databases}\n\
         -- ------------------------------------------------------\n-- Server version\t{VERSION}\n\n\
         /*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;\n\
         /*!40101 SET @OLD_CHARACTER_SET_RESULTS=@@CHARACTER_SET_RESULTS */;\n\
         /*!40101 SET @OLD_COLLATION_CONNECTION=@@COLLATION_CONNECTION */;\n\
         /*!40101 SET NAMES utf8mb4 */;\n\
         /*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;\n\
         /*!40103 SET TIME_ZONE='+00:00' */;\n\
         /*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;\n\
         /*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;\n\
         /*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;\n\
         /*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;\n"
    ))
}

/// What a dump ends with. `at` is the time of the host.
#[must_use]
pub fn end(at: jiff::Timestamp) -> String {
    let at = at.strftime("%Y-%m-%d %H:%M:%S");
    format!(
        "/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;\n\n\
         /*!40101 SET SQL_MODE=@OLD_SQL_MODE */;\n\
         /*!40014 SET FOREIGN_KEY_CHECKS=@OLD_FOREIGN_KEY_CHECKS */;\n\
         /*!40014 SET UNIQUE_CHECKS=@OLD_UNIQUE_CHECKS */;\n\
         /*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;\n\
         /*!40101 SET CHARACTER_SET_RESULTS=@OLD_CHARACTER_SET_RESULTS */;\n\
         /*!40101 SET COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION */;\n\
         /*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;\n\n\
         -- Dump completed on {at}\n"
    )
}

/// What of a database is dumped beside its tables and views.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Its triggers.
    pub triggers: bool,
    /// Its events.
    pub events: bool,
    /// Its procedures.
    pub routines: bool,
}

/// The parts of one database.
#[must_use]
pub fn database(name: &str, schema: &Schema, wanted: Wanted) -> Vec<Part> {
    let mut parts = vec![part(format!(
        "\n--\n-- Current Database: {0}\n--\n\nCREATE DATABASE /*!32312 IF NOT EXISTS*/ {0} /*!40100 DEFAULT \
         CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci */;\n\nUSE {0};\n",
        quoted(name)
    ))];
    let mut names: Vec<&String> = schema.tables.keys().chain(schema.views.keys()).collect();
    names.sort();
    for item in names {
        match (schema.tables.get(item), schema.views.get(item)) {
            (Some(table), _) => table_parts(name, item, table, &mut parts),
            (None, Some(view)) => parts.push(part(view_stand_in(item, &view.columns()))),
            (None, None) => {}
        }
        let on = format!(" ON {item} ");
        for code in schema.triggers.values().filter(|code| wanted.triggers && code.text.contains(&on)) {
            parts.push(part(trigger(code)));
        }
    }
    if wanted.events {
        parts.push(part(events(name, schema)));
    }
    if wanted.routines {
        parts.push(part(routines(name, schema)));
    }
    if !schema.views.is_empty() {
        let mut text = format!("\n--\n-- Current Database: {0}\n--\n\nUSE {0};\n", quoted(name));
        for (item, view) in &schema.views {
            let (quoted, account) = (quoted(item), account(&view.definer));
            let _ = write!(
                text,
                "\n--\n-- Final view structure for view {quoted}\n--\n\n/*!50001 DROP VIEW IF EXISTS {quoted}*/;\n\
                 /*!50001 SET @saved_cs_client          = @@character_set_client */;\n\
                 /*!50001 SET character_set_client      = utf8mb4 */;\n\
                 /*!50001 CREATE ALGORITHM=UNDEFINED */\n/*!50013 DEFINER={account} SQL SECURITY DEFINER */\n\
                 /*!50001 VIEW {quoted} AS {} */;\n\
                 /*!50001 SET character_set_client      = @saved_cs_client */;\n",
                view.select
            );
        }
        parts.push(part(text));
    }
    parts
}

fn account(definer: &str) -> String {
    let (user, host) = definer.split_once('@').unwrap_or((definer, "%"));
    format!("{}@{}", quoted(user), quoted(host))
}

fn table_parts(db: &str, name: &str, table: &Table, parts: &mut Vec<Part>) {
    let quoted = quoted(name);
    let about = |rows| Some((db.to_owned(), name.to_owned(), table.born, rows));
    let text = format!(
        "\n--\n-- Table structure for table {quoted}\n--\n\nDROP TABLE IF EXISTS {quoted};\n\
         /*!40101 SET @saved_cs_client     = @@character_set_client */;\n\
         /*!40101 SET character_set_client = utf8mb4 */;\n\
         CREATE TABLE {quoted} (\n{}\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;\n\
         /*!40101 SET character_set_client = @saved_cs_client */;\n\n\
         --\n-- Dumping data for table {quoted}\n--\n\nLOCK TABLES {quoted} WRITE;\n\
         /*!40000 ALTER TABLE {quoted} DISABLE KEYS */;\n",
        table.body
    );
    parts.push(Part { text, table: about(0), took: DEFINITION });
    let rows: Vec<_> = table.rows.values().collect();
    for (number, some) in rows.chunks(ROWS).enumerate() {
        let mut text = format!("INSERT INTO {quoted} VALUES");
        for (at, row) in some.iter().enumerate() {
            text.push_str(if at == 0 { "\n(" } else { ",\n(" });
            for (column, value) in row.iter().enumerate() {
                if column > 0 {
                    text.push(',');
                }
                value.write(&mut text);
            }
            text.push(')');
        }
        text.push_str(";\n");
        let took = ROW * u32::try_from(some.len()).unwrap_or(u32::MAX);
        parts.push(Part { text, table: about(number * ROWS), took });
    }
    parts.push(part(format!("/*!40000 ALTER TABLE {quoted} ENABLE KEYS */;\nUNLOCK TABLES;\n")));
}

fn view_stand_in(name: &str, columns: &[String]) -> String {
    let quoted_name = quoted(name);
    let columns: Vec<String> = columns.iter().map(|column| format!("\n NULL AS {}", quoted(column))).collect();
    format!(
        "\n--\n-- Temporary table structure for view {quoted_name}\n--\n\nDROP TABLE IF EXISTS {quoted_name};\n\
         /*!50001 DROP VIEW IF EXISTS {quoted_name}*/;\n\
         SET @saved_cs_client     = @@character_set_client;\nSET character_set_client = utf8mb4;\n\
         /*!50001 CREATE VIEW {quoted_name} AS SELECT{} */;\nSET character_set_client = @saved_cs_client;\n",
        columns.join(",")
    )
}

fn trigger(code: &Code) -> String {
    format!(
        "/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;\n\
         /*!50003 SET sql_mode              = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION' */ ;\nDELIMITER ;;\n\
         /*!50003 CREATE*/ /*!50017 DEFINER={}*/ /*!50003 {} \n*/;;\nDELIMITER ;\n\
         /*!50003 SET sql_mode              = @saved_sql_mode */ ;\n",
        account(&code.definer),
        code.text
    )
}

fn events(db: &str, schema: &Schema) -> String {
    let mut text = format!("\n--\n-- Dumping events for database '{db}'\n--\n");
    if schema.events.is_empty() {
        return text;
    }
    text.push_str("/*!50106 SET @save_time_zone= @@TIME_ZONE */ ;\n");
    for (name, code) in &schema.events {
        let _ = write!(
            text,
            "/*!50106 DROP EVENT IF EXISTS {} */;\nDELIMITER ;;\n\
             /*!50003 SET time_zone             = 'SYSTEM' */ ;;\n\
             /*!50106 CREATE*/ /*!50117 DEFINER={}*/ /*!50106 {} \n*/ ;;\nDELIMITER ;\n",
            quoted(name),
            account(&code.definer),
            code.text
        );
    }
    text.push_str("/*!50106 SET TIME_ZONE= @save_time_zone */ ;\n");
    text
}

fn routines(db: &str, schema: &Schema) -> String {
    let mut text = format!("\n--\n-- Dumping routines for database '{db}'\n--\n");
    for (name, code) in &schema.routines {
        let _ = write!(
            text,
            "/*!50003 SET @saved_sql_mode       = @@sql_mode */ ;\n\
             /*!50003 SET sql_mode              = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION' */ ;\n\
             /*!50003 DROP PROCEDURE IF EXISTS {} */;\nDELIMITER ;;\nCREATE DEFINER={} {}\n;;\nDELIMITER ;\n\
             /*!50003 SET sql_mode              = @saved_sql_mode */ ;\n",
            quoted(name),
            account(&code.definer),
            code.text
        );
    }
    text
}
