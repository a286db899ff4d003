//! A search cluster of three nodes that has lost its quorum: two of them are gone.

use std::fs;

use super::super::support::{Lab, Program, RESERVE, alone, assert_same};

const NODES: [&str; 2] = ["search-2", "search-3"];

/// Without its quorum prod's cluster has no master; nothing may be begun with it, as source and as target.
fn refused(lab: &Lab, program: &Program, step: &str) {
    let before = ["prod", "bcp"].map(|site| lab.count_part(site, "sql"));
    for node in NODES {
        lab.run(&["service", "kill", "prod", node]);
    }
    let ran = program.run(&["run", "replicate", "--output", "json"]);
    for node in NODES {
        lab.run(&["service", "start", "prod", node]);
    }
    let ran = ran.expect(1).says(&format!("test-source/{step}@prod")).says("master");
    // Its nodes still know each other for a moment after two of them are gone.
    let text = ran.text();
    let known = ["see which of its nodes are down or cannot reach each other", "is split or has lost its quorum"];
    assert!(known.iter().any(|words| text.contains(words)), "{text}");
    for stage in ["search-snapshot", "sql-dump", "files-collect", "search-restore"] {
        let begun = ran.stdout().lines().any(|line| line.contains("\"unit_started\"") && line.contains(stage));
        assert!(!begun, "{stage} was begun:\n{}", ran.text());
    }
    assert_eq!(["prod", "bcp"].map(|site| lab.count_part(site, "sql")), before);
    assert_same(&lab.count("prod"), &lab.count("bcp"));
}

#[test]
fn a_search_cluster_without_quorum_is_neither_source_nor_target() {
    let _alone = alone();
    let lab = Lab::fresh("quorum", &["--nodes", "3", "--standby-nodes", "1"]);
    lab.run(&["load", "--documents", "1500", "--rows", "3000", "--files", "150"]);
    lab.edit_estate(|estate| estate + RESERVE);
    let program = Program::new(&lab);
    program.run(&["run", "replicate"]).expect(0);
    refused(&lab, &program, "search-source");

    for site in ["prod", "bcp"] {
        let path = lab.exchange(site).join("direction.json");
        let text = fs::read_to_string(&path).expect("a direction record");
        let turned =
            text.replace("\"active\": \"prod\"", "\"active\": \"bcp\"").replace("\"epoch\": 1", "\"epoch\": 2");
        assert_ne!(turned, text);
        fs::write(&path, turned).expect("the record can be written");
    }
    refused(&lab, &program, "search-standby");
    // With its quorum back it is a target like any other.
    program.run(&["run", "replicate"]).expect(0);
    assert_same(&lab.count("bcp"), &lab.count("prod"));
}
