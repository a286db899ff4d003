use super::*;
use crate::model::SiteName;
use crate::port::SqlEndpoint;

fn access(settings: serde_json::Value, password: Option<&str>) -> Access {
    let settings: crate::systems::mysql::settings::Settings = serde_json::from_value(settings).expect("settings");
    let site = SiteName::new("prod").expect("a site");
    let address = match &settings.listens {
        crate::systems::mysql::settings::Listens::Socket(path) => SqlAddress::Socket(path.clone()),
        crate::systems::mysql::settings::Listens::Tcp(address, port) => {
            SqlAddress::Tcp(address.clone().unwrap_or_else(|| "127.0.0.1".to_owned()), *port)
        }
    };
    let endpoint = SqlEndpoint {
        address: address.clone(),
        through: None,
        user: settings.user.clone(),
        password: password.map(|text| Secret::new(text.to_owned())),
        database: None,
        ca_pem: settings.ca_pem.clone(),
    };
    Access { site, settings, host: None, endpoint, place: Place::Console, address }
}

fn shop() -> Access {
    access(serde_json::json!({ "databases": ["shop", "extra"], "user": "co" }), Some("s3cret"))
}

const MARIA: &str = "mariadb-dump from 11.4.2-MariaDB, client 10.19 for Linux (x86_64)\n no-tablespaces";
const OLD_MARIA: &str = "mysqldump  Ver 10.19 Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)\n";
const MYSQL: &str = "mysqldump  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)\n\
    --column-statistics\n--set-gtid-purged\n--no-tablespaces";

#[test]
fn programs_are_told_by_what_they_say() {
    for (help, flavour, number) in [
        (MARIA, Flavour::Mariadb, Version(11, 4, 2)),
        (OLD_MARIA, Flavour::Mariadb, Version(10, 11, 19)),
        (MYSQL, Flavour::Mysql, Version(8, 0, 36)),
    ] {
        let program = Program::read("mysqldump", help);
        assert_eq!((program.flavour, program.number()), (flavour, number), "{help}");
    }
}

#[test]
fn dumps_use_what_the_program_knows_and_hide_the_password() {
    let mysql =
        dump_pipeline(&shop(), &Program::read("mysqldump", MYSQL), Compressor::Zstd, &["shop"], "/p/db.sql.zst");
    assert_eq!(
        mysql.to_string(),
        "mysqldump --defaults-file=<secret file> --user=co --host=127.0.0.1 --port=3306 --protocol=TCP \
         --single-transaction --quick --routines --events --triggers --hex-blob --default-character-set=utf8mb4 \
         --max-allowed-packet=1G --column-statistics=0 --set-gtid-purged=OFF --no-tablespaces --databases shop \
         | zstd -q -T0 -3 -c | tee /p/db.sql.zst | sha256sum"
    );
    assert!(!format!("{mysql:?}").contains("s3cret"));
    let maria = dump_pipeline(&shop(), &Program::read("mariadb-dump", MARIA), Compressor::Gzip, &["shop"], "/p/x");
    let text = maria.to_string();
    assert!(!text.contains("column-statistics") && !text.contains("gtid"), "{text}");
    assert!(text.contains("--no-tablespaces --databases shop | gzip -3 -c | tee /p/x"), "{text}");
}

#[test]
fn the_sandbox_line_is_taken_out_only_for_clients_that_do_not_know_it() {
    let mysql = Program::read("mysql", "mysql  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)");
    let maria = Program::read("mariadb", "mariadb from 11.4.2-MariaDB\n  --sandbox  Disallow commands");
    let load = |client, sandbox| load_pipeline(&shop(), client, Compressor::Zstd, sandbox, "/p/x").to_string();
    let client = "--user=co --host=127.0.0.1 --port=3306 --protocol=TCP --binary-mode --default-character-set=utf8mb4 \
                  --max-allowed-packet=1G --skip-reconnect";
    assert_eq!(
        load(&mysql, true),
        format!("zstd -q -d -c /p/x | LC_ALL=C sed '1{{/999999/d;}}' | mysql --defaults-file=<secret file> {client}")
    );
    assert_eq!(load(&maria, true), format!("zstd -q -d -c /p/x | mariadb --defaults-file=<secret file> {client}"));
    let new = Program::read("mariadb", "mariadb from 10.11.19-MariaDB\n  --print-query-on-error \n  --sandbox  x");
    assert!(load(&new, true).ends_with("--skip-reconnect --skip-print-query-on-error"));
    assert!(!load(&mysql, false).contains("sed"));
    assert!(!load(&mysql, true).contains("force"));
}

#[test]
fn only_named_databases_are_dropped() {
    assert_eq!(
        drop_statements(&["shop", "a-b"]),
        "SET SESSION lock_wait_timeout = 60, foreign_key_checks = 0; DROP DATABASE IF EXISTS `shop`; \
         DROP DATABASE IF EXISTS `a-b`"
    );
}

#[test]
fn option_files_carry_any_password_and_what_the_estate_adds() {
    let settings = serde_json::json!({
        "databases": ["shop"], "user": "co", "socket": "/run/db.sock", "option_file": "/etc/co/tls.cnf",
    });
    let access = access(settings, Some("p#a\"s\\s ' ; x"));
    assert_eq!(option_file(&access).expose(), "!include /etc/co/tls.cnf\n[client]\npassword=\"p#a\\\"s\\\\s ' ; x\"\n");
    let dump =
        dump_pipeline(&access, &Program::read("mysqldump", MYSQL), Compressor::Pigz, &["shop"], "/x").to_string();
    assert!(dump.contains("--socket=/run/db.sock --protocol=SOCKET"), "{dump}");
    let nothing = self::access(serde_json::json!({ "databases": ["shop"], "user": "co" }), None);
    assert_eq!(option_file(&nothing).expose(), "[client]\n");
}

#[test]
fn with_an_authority_of_ones_own_every_program_must_see_the_servers_name_signed() {
    let settings = serde_json::json!({ "databases": ["shop"], "user": "co", "address": "db1", "ca_pem": "OURS" });
    let access = access(settings, Some("s3cret"));
    let client = |help: &str| Program::read("mysql", help);
    let maria = client("mysql  Ver 15.1 Distrib 10.11.19-MariaDB\n  --ssl-verify-server-cert");
    let mysql = client("mysql  Ver 8.0.36 for Linux on x86_64 (MySQL Community Server - GPL)\n  --ssl-mode=name");
    for (program, verified) in [(maria, "--ssl-verify-server-cert"), (mysql, "--ssl-mode=VERIFY_IDENTITY")] {
        let pipelines = [
            dump_pipeline(&access, &program, Compressor::Zstd, &["shop"], "/p/x"),
            load_pipeline(&access, &program, Compressor::Zstd, true, "/p/x"),
            who_pipeline(&access, &program),
            drop_pipeline(&access, &program, &["shop"]),
        ];
        for pipeline in pipelines {
            let wanted = format!("--host=db1 --port=3306 --protocol=TCP --ssl-ca=<secret file> {verified}");
            assert!(pipeline.to_string().contains(&wanted), "{pipeline}");
            let files: Vec<&str> = pipeline.secret_files.iter().map(|file| file.content.expose()).collect();
            assert_eq!(files, ["[client]\npassword=\"s3cret\"\n", "OURS"], "{pipeline}");
        }
    }
    assert!(!who_pipeline(&shop(), &client("mysql")).to_string().contains("ssl"));
}
