//! The story: what is done to the sites, which steps are played then, and what is put right again.

use changeover::port::Method::{Delete, Put};

use super::hands::Act::{
    Begins, Carry, Ends, Estate, EstateAsItWas, Halve, Lose, Remove, Search, ShardMends, ShardRots, Sql, Turn, TurnAll,
    Write,
};
use super::scenes::{Scene, app, asks, db, lights, scene, search, step, tree};

/// What is captured but must not be the same: what a server makes up, and sizes of its own files.
pub const VARY: &[(&str, &str)] = &[
    ("elasticsearch.check", "cluster_uuid"),
    ("elasticsearch.check", "estimated_bytes"),
    ("elasticsearch.snapshot", "uuid"),
    ("elasticsearch.snapshot", "bytes"),
    ("elasticsearch.restore", "uuid"),
    ("elasticsearch.restore", "bytes"),
    ("mysql.check", "version"),
    ("mysql.check", "estimated_bytes"),
    ("mysql.check", "estimated_dump_bytes"),
    ("mysql.check", "rows"),
    ("mysql.dump", "bytes"),
    ("exchange.space", "free"),
    ("exchange.seal", "files"),
    ("exchange.seal", "bytes"),
    ("exchange.transfer", "files"),
    ("exchange.transfer", "bytes"),
    ("exchange.arrived", "sealed"),
    ("exchange.arrived", "age_seconds"),
    ("exchange.arrived", "files"),
    ("exchange.arrived", "hashed"),
    ("exchange.arrived", "bytes"),
    ("redis.check", "memory"),
    ("redis.check", "version"),
    ("app.check", "version"),
];

/// The chapters, in the order in which they must be played.
pub const CHAPTERS: &[(&str, &[Scene])] = &[
    ("good", GOOD),
    ("basic", BASIC),
    ("search", SEARCH),
    ("sql", SQL),
    ("files", FILES),
    ("exchange", EXCHANGE),
    ("app", APP),
];

const REPOSITORY: &str = "_snapshot/changeover-prod-to-bcp-search";

/// Lights whose words do not depend on the size of disks and on time.
const LIGHTS: &[&str] =
    &["app1 disk", "cache server", "exchange mount", "exchange points", "search cluster", "search repository"];

const BASIC: &[Scene] = &[
    scene("exit code 0", 1, &[tree("basic.command", "source").with(r#"run = ["true"]"#)]),
    scene("exit code 1", 1, &[tree("basic.command", "source").with(r#"run = ["false"]"#)]),
    scene(
        "exit code 1, which is good",
        1,
        &[tree("basic.command", "source").with(r#"run = ["false"], expect_exit = [1]"#)],
    ),
    scene(
        "exit code 0, which is not",
        1,
        &[tree("basic.command", "source").with(r#"run = ["true"], expect_exit = [3]"#)],
    ),
    scene("a complaint", 1, &[tree("basic.command", "source").with(r#"run = ["cat", "/no/such"]"#)]),
    scene(
        "a captured complaint",
        1,
        &[tree("basic.command", "target").with(r#"run = ["cat", "/no/such"], capture = "text""#)],
    ),
    scene(
        "captured output",
        1,
        &[tree("basic.command", "source.app").with(r#"run = ["echo", "it's so"], capture = "words""#)],
    ),
    scene(
        "what is read",
        1,
        &[tree("basic.command", "target").with(r#"run = ["cat"], stdin = "a\nb", capture = "text""#)],
    ),
    scene("missing program", 1, &[tree("basic.command", "source").with(r#"run = ["no-such-program", "-x"]"#)]),
    scene(
        "missing program, captured",
        1,
        &[tree("basic.command", "source").with(r#"run = ["no-such-program"], capture = "text""#)],
    ),
    scene("too late", 1, &[tree("basic.command", "source").with(r#"run = ["sleep", "60"]"#).within("2s")]),
    scene("http", 1, &[tree("basic.http", "source").with(r#"url = "http://10.0.1.11:8080/health""#)]),
];

const GOOD: &[Scene] = &[
    scene("nothing was claimed", 1, &[tree("exchange.seal", "source")]),
    scene("prepare", 1, &[tree("exchange.prepare", "both")]),
    scene("prepare again", 1, &[tree("exchange.prepare", "both")]),
    lights("lights at the source", "prod", LIGHTS),
    lights("lights at the standby", "bcp", LIGHTS),
    scene(
        "checks at the source",
        1,
        &[
            search("elasticsearch.check", "source"),
            db("mysql.check", "source"),
            step("files.check", "source", "assets"),
            step("files.check", "source", "config"),
            step("redis.check", "source", "cache"),
            app("app.check", "source"),
            tree("exchange.space", "source").with("bytes = 1000000"),
        ],
    ),
    scene(
        "checks at the standby",
        1,
        &[
            search("elasticsearch.check", "target"),
            db("mysql.check", "target"),
            step("files.check", "target", "config"),
            step("redis.check", "target", "cache"),
            app("app.check", "target"),
        ],
    ),
    scene("no room", 1, &[tree("exchange.space", "source").with("bytes = 9000000000000000")]),
    scene("snapshot", 1, &[search("elasticsearch.snapshot", "source")]),
    scene("dump", 1, &[db("mysql.dump", "source")]),
    scene("collect", 1, &[step("files.collect", "source", "assets"), step("files.collect", "source", "config")]),
    scene(
        "seal and carry",
        1,
        &[tree("exchange.seal", "source"), tree("exchange.transfer", "source"), tree("exchange.arrived", "target")],
    ),
    scene("arrived again", 1, &[tree("exchange.arrived", "target")]),
    scene(
        "restore",
        1,
        &[
            search("elasticsearch.restore", "target"),
            db("mysql.restore", "target"),
            step("files.restore", "target.app", "assets"),
            step("files.restore", "target.app", "config"),
            step("redis.flush", "target", "cache"),
        ],
    ),
    scene("restart", 1, &[app("app.restart", "target.app"), app("app.healthy", "target")]),
    scene(
        "verify",
        1,
        &[
            search("elasticsearch.verify", "target"),
            db("mysql.verify", "target"),
            step("files.verify", "target.app", "assets"),
            step("files.verify", "target.app", "config"),
        ],
    ),
    scene("prune", 1, &[tree("exchange.prune", "both"), search("elasticsearch.prune", "source")]),
    scene(
        "restore once more",
        1,
        &[
            search("elasticsearch.restore", "target"),
            db("mysql.restore", "target"),
            step("files.restore", "target.app", "assets"),
        ],
    ),
];

const SEARCH: &[Scene] = &[
    lights("an index that takes no writes", "prod", &["search cluster", "search repository"])
        .before(&[Search("prod", Put, "orders/_settings", r#"{"index.blocks.write":true}"#)])
        .after(&[Search("prod", Put, "orders/_settings", r#"{"index.blocks.write":null}"#)]),
    lights("an index that can only be read", "prod", &["search cluster"])
        .before(&[Search("prod", Put, "orders/_settings", r#"{"index.blocks.read_only":true}"#)])
        .after(&[Search("prod", Put, "orders/_settings", r#"{"index.blocks.read_only":null}"#)]),
    lights("an index that was on a full disk", "prod", &["search cluster"])
        .before(&[Search("prod", Put, "orders/_settings", r#"{"index.blocks.read_only_allow_delete":true}"#)])
        .after(&[Search("prod", Put, "orders/_settings", r#"{"index.blocks.read_only_allow_delete":null}"#)]),
    lights("no index takes writes", "prod", &["search cluster"])
        .before(&[Search("prod", Put, "customers,events,orders/_settings", r#"{"index.blocks.write":true}"#)])
        .after(&[Search("prod", Put, "customers,events,orders/_settings", r#"{"index.blocks.write":null}"#)]),
    scene("snapshot name taken", 1, &[search("elasticsearch.snapshot", "source")]),
    scene("a name of one's own", 2, &[search("elasticsearch.snapshot", "source").with(r#"name = "monthly""#)]),
    scene("a stranger's name", 2, &[search("elasticsearch.snapshot", "source").with(r#"name = "monthly""#)]),
    scene(
        "registered for writing at the target",
        1,
        &[search("elasticsearch.check", "target"), search("elasticsearch.restore", "target")],
    )
    .before(&[Search(
        "bcp",
        Put,
        REPOSITORY,
        r#"{"type":"fs","settings":{"location":"{exchange}/prod-to-bcp/search-search"}}"#,
    )])
    .after(&[Search(
        "bcp",
        Put,
        REPOSITORY,
        r#"{"type":"fs","settings":{"location":"{exchange}/prod-to-bcp/search-search","readonly":true}}"#,
    )]),
    scene("registered elsewhere at the source", 3, &[search("elasticsearch.snapshot", "source")])
        .before(&[Estate(
            "kind = \"elasticsearch\"\n",
            "kind = \"elasticsearch\"\nrepository_path = \"/srv/elsewhere\"\n",
        )])
        .after(&[EstateAsItWas]),
    scene("a snapshot that is partial", 3, &[search("elasticsearch.snapshot", "source")])
        .before(&[ShardRots])
        .after(&[ShardMends]),
    scene("after a partial one", 3, &[search("elasticsearch.snapshot", "source")]),
    scene("a red index at the source", 4, &[search("elasticsearch.check", "source")])
        .before(&[Search(
            "prod",
            Put,
            "red?wait_for_active_shards=0",
            r#"{"settings":{"index.routing.allocation.require._name":"nowhere","number_of_replicas":0}}"#,
        )])
        .after(&[Search("prod", Delete, "red", "")]),
    scene("a snapshot that is not there", 5, &[search("elasticsearch.snapshot", "source")]).after(&[Carry("{point}/")]),
    scene("restored all the same", 5, &[search("elasticsearch.restore", "target")]),
    scene("verified against another point", 5, &[search("elasticsearch.verify", "target")]),
    scene("without a part", 6, &[search("elasticsearch.restore", "target")]),
    scene("restored once it is there", 5, &[search("elasticsearch.restore", "target")])
        .before(&[Carry("exchange/prod-to-bcp/search-search/")]),
    scene("rotten blobs that are there already", 5, &[search("elasticsearch.restore", "target")])
        .before(&[TurnAll("bcp", "/__")]),
    scene("rotten blobs", 5, &[search("elasticsearch.restore", "target")]).before(&[Search(
        "bcp",
        Delete,
        "customers,events,orders",
        "",
    )]),
    scene(
        "a red cluster at the target",
        5,
        &[search("elasticsearch.check", "target"), search("elasticsearch.verify", "target")],
    ),
    scene("whole again", 5, &[search("elasticsearch.restore", "target"), search("elasticsearch.verify", "target")])
        .before(&[Carry("exchange/prod-to-bcp/search-search/")]),
    scene("the standby was written to", 5, &[search("elasticsearch.verify", "target")]).before(&[Search(
        "bcp",
        Delete,
        "customers",
        "",
    )]),
    scene("no search", 5, &[search("elasticsearch.check", "target")]).before(&[Ends("bcp", "search")]),
    scene("search is back", 5, &[search("elasticsearch.check", "target")]).before(&[Begins("bcp", "search")]),
];

const SQL: &[Scene] = &[
    asks(
        "a server that has never been a replica",
        "prod",
        &["SHOW REPLICA STATUS", "SHOW SLAVE STATUS", "SHOW ALL SLAVES STATUS"],
    ),
    asks("flags", "prod", &["SELECT @@GLOBAL.read_only"]),
    asks("what it does not know", "prod", &["SELECT @@GLOBAL.gtid_executed"]),
    asks("what it does not know either", "prod", &["SELECT @@GLOBAL.super_read_only"]),
    asks("a flag that is set", "bcp", &["SET GLOBAL read_only = ON", "SELECT @@GLOBAL.read_only"]),
    scene("read-only target", 1, &[db("mysql.check", "target")]),
    scene("restored all the same", 1, &[db("mysql.restore", "target")]),
    asks("a flag that is taken back", "bcp", &["SET GLOBAL read_only = OFF", "SELECT @@GLOBAL.read_only"]),
    scene("missing definer", 7, &[db("mysql.check", "source"), db("mysql.dump", "source")])
        .before(&[Sql(
            "prod",
            &["USE shop", "CREATE DEFINER=`ghost`@`%` SQL SECURITY DEFINER VIEW `ghostly` AS SELECT 1 AS `one`"],
        )])
        .after(&[Sql("prod", &["USE shop", "DROP VIEW IF EXISTS `ghostly`"]), Carry("{point}/")]),
    scene("missing definer at the target", 7, &[db("mysql.check", "target"), db("mysql.restore", "target")]),
    scene(
        "missing definer, allowed",
        7,
        &[db("mysql.restore", "target").with("allow_missing_definers = true"), db("mysql.verify", "target")],
    ),
    scene("truncated dump", 1, &[db("mysql.restore", "target")])
        .before(&[Carry("{point}/db.sql"), Halve("bcp", "{point}/db.sql")])
        .after(&[Carry("{point}/db.sql")]),
    scene("no dump", 8, &[db("mysql.restore", "target")]),
    scene("good after all", 1, &[db("mysql.restore", "target"), db("mysql.verify", "target")]),
    scene("no server", 1, &[db("mysql.check", "target")]).before(&[Ends("bcp", "sql")]),
    scene("no server at a host that is written down", 1, &[db("mysql.check", "target")])
        .before(&[Estate("leader = \"app\"", "host = \"app1\"")]),
    scene("restored there all the same", 1, &[db("mysql.restore", "target")]).after(&[EstateAsItWas]),
    scene("application without server", 1, &[app("app.check", "target")]),
    scene("restart without server", 1, &[app("app.restart", "target.app").with(r#"within = "5s""#)]),
    scene("server is back", 1, &[db("mysql.check", "target"), db("mysql.verify", "target")])
        .before(&[Begins("bcp", "sql"), Sql("bcp", &["SET GLOBAL event_scheduler = OFF"])]),
    scene("events run at the target", 1, &[db("mysql.check", "target"), db("mysql.restore", "target")])
        .before(&[Sql("bcp", &["SET GLOBAL event_scheduler = ON"])])
        .after(&[Sql("bcp", &["SET GLOBAL event_scheduler = OFF"])]),
];

const FILES: &[Scene] = &[
    scene("strange names", 9, &[step("files.collect", "source", "assets")]).before(&[
        Write("prod", "storage/odd/ leading and trailing ", "a"),
        Write("prod", "storage/odd/-rf", "b"),
        Write("prod", "storage/odd/tab\tand \"quotes\" $HOME `id`", "c"),
        Write("prod", "storage/odd/*?[a]", "d"),
    ]),
    scene(
        "strange names are carried",
        9,
        &[
            tree("exchange.seal", "source").with(r#"expect = ["assets"]"#),
            tree("exchange.transfer", "source"),
            tree("exchange.arrived", "target"),
        ],
    ),
    scene("deletes over the limit", 10, &[step("files.collect", "source", "assets")])
        .before(&[Remove("prod", "storage/invoices/")]),
    scene(
        "deletes that are allowed",
        10,
        &[
            step("files.collect", "source", "assets").with("accept_deletions = true"),
            tree("exchange.seal", "source").with(r#"expect = ["assets"]"#),
            tree("exchange.transfer", "source"),
        ],
    ),
    scene(
        "with strange names at the target",
        9,
        &[step("files.restore", "target.app", "assets"), step("files.verify", "target.app", "assets")],
    ),
    scene("deletes over the limit at the target", 10, &[step("files.restore", "target.app", "assets")]),
    scene(
        "deletes that are allowed at the target",
        10,
        &[
            step("files.restore", "target.app", "assets").with("accept_deletions = true"),
            step("files.verify", "target.app", "assets"),
        ],
    ),
    scene("a file that was added at the target", 10, &[step("files.verify", "target.app", "assets")])
        .before(&[Write("bcp", "storage/uploads/stray", "stray")])
        .after(&[Remove("bcp", "storage/uploads/stray")]),
    scene("empty source", 11, &[step("files.check", "source", "config"), step("files.collect", "source", "config")])
        .before(&[Remove("prod", "config/")])
        .after(&[Write("prod", "config/shop.toml", "version = 8\n")]),
    scene("without a part", 12, &[step("files.restore", "target.app", "assets")]),
];

const EXCHANGE: &[Scene] = &[
    scene("sealed without one part", 7, &[tree("exchange.seal", "source").with(r#"expect = ["db", "assets"]"#)]),
    scene("sealed twice", 10, &[tree("exchange.seal", "source").with(r#"expect = ["assets"]"#)]),
    scene("not there", 10, &[tree("exchange.arrived", "target").with(r#"point = "p-20260301-020000-0077""#)]),
    scene("without marker", 10, &[tree("exchange.arrived", "target")]).before(&[Remove("bcp", "{point}/COMPLETE")]),
    scene("carried", 10, &[tree("exchange.transfer", "source"), tree("exchange.arrived", "target")]),
    scene("damaged part", 10, &[tree("exchange.arrived", "target")])
        .before(&[Turn("bcp", "{point}/parts/assets.json")]),
    scene("damaged manifest", 10, &[tree("exchange.arrived", "target")])
        .before(&[Turn("bcp", "{point}/manifest.json")]),
    scene(
        "carried anew",
        10,
        &[tree("exchange.transfer", "source").with("deep = true"), tree("exchange.arrived", "target")],
    ),
    scene("missing file", 10, &[tree("exchange.arrived", "target")])
        .before(&[Lose("bcp", "files-assets/p-20260301-020000-0010/")])
        .after(&[Carry("{point}/")]),
    scene("changing copy", 1, &[tree("exchange.arrived", "target")])
        .before(&[Estate("[objectives]", "[transfer]\nby = \"storage\"\n\n[objectives]")])
        .meanwhile(Write("bcp", "exchange/prod-to-bcp/points/p-20260301-020000-0001/parts/late.json", "{}"))
        .after(&[EstateAsItWas]),
    scene("another direction", 14, &[tree("exchange.prepare", "both"), tree("exchange.seal", "source")]).before(&[
        Write(
            "prod",
            "exchange/direction.json",
            r#"{"epoch": 2, "active": "bcp", "since": "2026-03-01T00:00:00Z", "run": "r0"}"#,
        ),
    ]),
    scene("another epoch at the target", 10, &[tree("exchange.transfer", "source")]).before(&[Write(
        "prod",
        "exchange/direction.json",
        r#"{"epoch": 2, "active": "prod", "since": "2026-03-01T00:00:00Z", "run": "r0"}"#,
    )]),
    scene("no record that can be read", 10, &[tree("exchange.prepare", "both")])
        .before(&[Write("prod", "exchange/direction.json", "{")])
        .after(&[Write(
            "prod",
            "exchange/direction.json",
            r#"{"epoch": 1, "active": "prod", "since": "2026-03-01T00:00:00Z", "run": "r0"}"#,
        )]),
];

const APP: &[Scene] = &[
    scene("flush at a replica", 1, &[step("redis.check", "target", "cache"), step("redis.flush", "target", "cache")])
        .before(&[Estate("10.0.2.41", "10.0.2.42")])
        .after(&[EstateAsItWas]),
    scene("one node down", 1, &[app("app.check", "target")]).before(&[Ends("bcp", "app@app2")]),
    scene("one node down is not healthy", 1, &[app("app.healthy", "target").with(r#"within = "3s""#)]),
    scene("restart of what is down", 1, &[app("app.restart", "target.app"), app("app.check", "target")]),
    scene("the first node down", 1, &[app("app.check", "target"), db("mysql.check", "target")])
        .before(&[Ends("bcp", "app@app1")]),
    scene("restart brings it back", 1, &[app("app.restart", "target.app"), app("app.healthy", "target")]),
    scene("no cache", 1, &[step("redis.check", "target", "cache"), app("app.check", "target")])
        .before(&[Ends("bcp", "redis"), Ends("bcp", "redis-replica")]),
    scene("application without cache", 1, &[app("app.check", "target"), step("redis.flush", "target", "cache")])
        .after(&[Begins("bcp", "redis"), Begins("bcp", "redis-replica")]),
    scene("application without search", 1, &[app("app.check", "target")])
        .before(&[Ends("bcp", "search")])
        .after(&[Begins("bcp", "search")]),
    lights("a replica that is missed", "bcp", &["cache server"])
        .before(&[Estate("kind = \"redis\"\n", "kind = \"redis\"\nreplicas = 1\n"), Ends("bcp", "redis-replica")])
        .after(&[EstateAsItWas]),
];
