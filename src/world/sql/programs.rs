//! The client programs of the server, as hosts have them: `mariadb-dump` and `mariadb`. Both work slice by slice, so
//! that whatever ends them half-way leaves half a dump, or half a database.

mod client;
mod dumper;
mod options;

use crate::port::{Command, Pipeline};
use crate::world::host::{Io, Machine, Process, Slice};

use super::globals::Flavour;
use options::Options;

/// What `mariadb-dump --help` says, as far as it is read.
const DUMP_HELP: &str = "\
mariadb-dump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
Copyright (c) 2000, 2018, Oracle, MariaDB Corporation Ab and others.

Dumping structure and contents of MariaDB databases and tables.
Usage: mariadb-dump [OPTIONS] database [tables]
OR     mariadb-dump [OPTIONS] --databases DB1 [DB2 DB3...]
  -y, --no-tablespaces
                      Do not dump any tablespace information.
";
/// What `mariadb --help` says, as far as it is read.
const CLIENT_HELP: &str = "\
mariadb  Ver 15.1 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64) using  EditLine wrapper
Copyright (c) 2000, 2018, Oracle, MariaDB Corporation Ab and others.

Usage: mariadb [OPTIONS] [database]
  --sandbox           Disallow commands that access the file system (except \\P
                      without an argument and \\e).
";

/// Starts one of the server's client programs; nothing when `name` is none of those that hosts have.
pub(in crate::world) fn start(
    name: &str,
    on: &Machine<'_>,
    command: &Command,
    pipeline: &Pipeline,
) -> Option<Box<dyn Process>> {
    // A site of another server has none that are known here.
    let there = on.here().sql.flavour == Flavour::MariaDb;
    let (help, complaint_code) = match name {
        _ if !there => return None,
        "mariadb-dump" => (DUMP_HELP, 2),
        "mariadb" => (CLIENT_HELP, 7),
        _ => return None,
    };
    let options = match Options::read(command, pipeline) {
        Ok(options) => options,
        Err(complaint) => return Some(Box::new(Says::complaint(format!("{name}: {complaint}"), complaint_code))),
    };
    Some(if options.has("--help") {
        Box::new(Says { text: help.to_owned(), complaint: String::new(), code: 0 })
    } else if name == "mariadb" {
        Box::new(client::Client::new(on, options))
    } else {
        Box::new(dumper::Dumper::new(on, options))
    })
}

/// A program that only says something.
struct Says {
    text: String,
    complaint: String,
    code: i32,
}

impl Says {
    fn complaint(complaint: String, code: i32) -> Self {
        Self { text: String::new(), complaint, code }
    }
}

impl Process for Says {
    fn slice(&mut self, _on: &mut Machine<'_>, io: &mut Io<'_>) -> Slice {
        io.say(&self.text);
        if !self.complaint.is_empty() {
            io.complain(&self.complaint);
        }
        Slice::ended(self.code)
    }
}
