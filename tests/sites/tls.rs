//! Search and SQL that take encrypted sessions only, with certificates of an authority of the lab's own.
//!
//! ```text
//! cargo test --test sites -- --ignored --test-threads=1 tls
//! ```

use std::fs;

use super::setups::{fresh, twice};
use super::support::alone;
use serde_json::Value;

const QUOTES: &str = "\"\"\"";

/// An authority that has signed nothing here.
fn stranger() -> String {
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().expect("a key");
    params.self_signed(&key).expect("a certificate").pem()
}

/// The estate in which a service knows this authority in place of its own; none when it is empty.
fn with_authority(estate: &str, service: &str, pem: &str) -> String {
    let (before, rest) = estate.split_once(&format!("[services.{service}]")).expect("the service");
    let (head, rest) = rest.split_once("ca_pem = ").expect("it has an authority");
    let mut parts = rest.splitn(3, QUOTES).skip(1);
    let own = parts.next().expect("the authority");
    let after = parts.next().expect("more");
    assert!(own.contains("BEGIN CERTIFICATE") && !head.contains("[services."), "{estate}");
    let line = if pem.is_empty() { String::new() } else { format!("ca_pem = {QUOTES}\n{pem}{QUOTES}") };
    format!("{before}[services.{service}]{head}{line}{after}")
}

fn encrypted(name: &str, sql: &str) {
    let _alone = alone();
    let lab = fresh(name, &["--tls", "--search", "es8", "--sql", sql]);
    let estate = fs::read_to_string(lab.estate_file()).expect("the estate file is there");
    assert!(!estate.contains("urls = [\"http:"), "{estate}");
    let program = twice(&lab);
    // The lights see the certificates of the nodes as well, and when they end.
    let status: Value = serde_json::from_str(&program.run(&["status", "--json"]).stdout()).expect("JSON");
    let text = status.to_string();
    assert!(text.contains("certificate"), "{text}");

    let before = lab.count("bcp");
    let other = stranger();
    for (service, pem, words) in [
        ("search", other.as_str(), "the server's certificate is not trusted here: name its authority in the estate"),
        ("search", "", "the server's certificate is not trusted here: name its authority in the estate"),
        ("db", other.as_str(), "`ca_pem` of the service in the estate must be the authority that signed it"),
        ("db", "", "takes encrypted sessions only"),
    ] {
        lab.edit_estate(|_| with_authority(&estate, service, pem));
        program.run(&["check"]).expect(0);
        program.run(&["run", "replicate", "--output", "json"]).expect(1).says(words);
    }
    assert_eq!(lab.count("bcp"), before, "something was copied by servers that nobody trusts");
    lab.edit_estate(|_| estate);
    program.run(&["run", "replicate"]).expect(0);
}

#[test]
#[ignore = "a lab of its own, a minute or two"]
fn es8_and_mariadb() {
    encrypted("tls-mariadb", "mariadb");
}

#[test]
#[ignore = "a lab of its own, a minute or two"]
fn es8_and_mysql_9() {
    encrypted("tls-mysql97", "mysql97");
}
