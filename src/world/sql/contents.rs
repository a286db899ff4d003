//! What a site's server holds when the world begins, and what its users write into it.

use std::fmt::Write as _;
use std::sync::Arc;

use super::schema::{Code, Row, Schema, Table, View};
use super::server::Server;
use super::value::{Value, quoted};
use crate::model::SiteName;
use crate::world::{Counts, Spec, State, Store, Truth};

/// The database of the application.
const SHOP: &str = "shop";
/// The numbers that users give to what they write begin here: above everything that was there before.
const BY_USERS: u64 = 100_000;

const CUSTOMERS: &str = "  `id` int(11) NOT NULL,\n  `name` varchar(120) NOT NULL,\n  `token` varbinary(16) NOT NULL,\n  \
     PRIMARY KEY (`id`)";
const ORDERS: &str = "  `id` int(11) NOT NULL,\n  `customer` int(11) NOT NULL,\n  `cents` int(11) NOT NULL,\n  \
     `gross` int(11) GENERATED ALWAYS AS (`cents` * 119 DIV 100) STORED,\n  `note` text DEFAULT NULL,\n  \
     PRIMARY KEY (`id`),\n  KEY `customer` (`customer`),\n  \
     CONSTRAINT `orders_customer` FOREIGN KEY (`customer`) REFERENCES `customers` (`id`)";
const AUDIT: &str = "  `id` int(11) NOT NULL,\n  `what` varchar(200) NOT NULL,\n  PRIMARY KEY (`id`)";
const BIG_ORDERS: &str = "select `orders`.`id` AS `id`,`orders`.`customer` AS `customer`,`orders`.`gross` AS `gross` \
     from `orders` where `orders`.`cents` >= 10000";
const ON_ORDER: &str = "TRIGGER orders_audit AFTER INSERT ON orders FOR EACH ROW INSERT INTO audit (id, what) VALUES \
     (NEW.id, concat('order ', NEW.id))";
const TOTAL_OF: &str = "PROCEDURE `total_of`(IN who int)\nBEGIN\n  -- what a customer's orders come to\n  \
     SELECT sum(gross) FROM orders WHERE customer = who;\nEND";
const TIDY: &str = "EVENT `tidy` ON SCHEDULE EVERY 1 DAY STARTS '2026-01-01 03:00:00' ON COMPLETION NOT PRESERVE \
     ENABLE DO DELETE FROM audit WHERE id < 0";
/// Names that a dump must carry without harm.
const NAMES: [&str; 6] =
    ["Plain", "O'Neil \\ \"Sons\"", "日本 商店", "party 🎉", "two\nlines", "looks like a row'),(1,'x"];

/// Puts into a site what the world begins with.
pub fn fill(state: &mut State, site: &SiteName) {
    let first = state.active == *site;
    let number = Spec::sites().iter().position(|known| known == site).unwrap_or(0);
    let mut server = Server::new(&format!("{site}-db"), u32::try_from(number + 1).unwrap_or(1)).of(state.spec.sql);
    if first {
        server.changes = 22;
        server.schemas.insert(SHOP.to_owned(), Arc::new(shop(state.spec.rows)));
    }
    let epoch = state.spec.epoch;
    // The folder of the server's data is on the disk of every host that statements go through.
    for disk in state.disks_of(site) {
        let made = state.disks[disk.0].make_folders("/var/lib/mysql", 0o750, epoch);
        debug_assert!(made.is_ok(), "no folder for the data: {made:?}");
    }
    if let Some(here) = state.sites.get_mut(site) {
        here.sql = server;
    }
}

fn customer(id: i64) -> Row {
    let name = NAMES[usize::try_from(id).unwrap_or(0) % NAMES.len()];
    let [.., c, d] = id.to_be_bytes();
    // Every seventh is empty; the others hold bytes that are no text.
    let token = if id % 7 == 0 { Vec::new() } else { vec![0, 0xff, b',', b'(', b'\'', c, d] };
    vec![Value::Number(id), Value::Text(format!("{name} {id}")), Value::Binary(token)]
}

fn order(id: i64, customer: i64, note: Option<&str>) -> Row {
    let note = note.map_or(Value::Null, |note| Value::Text(note.to_owned()));
    vec![Value::Number(id), Value::Number(customer), Value::Number(500 + id % 200 * 100), Value::Null, note]
}

fn audited(id: i64) -> Row {
    vec![Value::Number(id), Value::Text(format!("order {id}"))]
}

/// About `rows` rows: a quarter customers, half orders, the rest what was noted of orders.
fn shop(rows: u32) -> Schema {
    let rows = i64::from(rows);
    let customers = (rows / 4).max(1);
    let orders = rows / 2;
    let mut schema = Schema::default();
    let mut made = 0;
    let mut table = |name: &str, body: &str, rows: &mut dyn Iterator<Item = Row>| {
        made += 1;
        let Some(mut table) = Table::read(body, made) else { unreachable!("{name} can be read") };
        for row in rows {
            let fits = table.insert(row);
            debug_assert!(fits.is_ok(), "a row of {name} does not fit: {fits:?}");
        }
        schema.tables.insert(name.to_owned(), table);
    };
    table("customers", CUSTOMERS, &mut (1..=customers).map(customer));
    let note = |id: i64| (id % 3 != 0).then_some("left at the door; (back), 'please'");
    table("orders", ORDERS, &mut (1..=orders).map(|id| order(id, 1 + id % customers, note(id))));
    table("audit", AUDIT, &mut (1..=rows - customers - orders).map(audited));
    let code = |text: &str| Code { definer: "shop@%".to_owned(), text: text.to_owned() };
    schema.views.insert("big_orders".to_owned(), View { definer: "shop@%".to_owned(), select: BIG_ORDERS.to_owned() });
    schema.triggers.insert("orders_audit".to_owned(), code(ON_ORDER));
    schema.routines.insert("total_of".to_owned(), code(TOTAL_OF));
    schema.events.insert("tidy".to_owned(), code(TIDY));
    schema
}

/// One order that a user of the application makes, the `number`th write of the world; true when the server took it.
pub fn write(state: &mut State, site: &SiteName, number: u64) -> bool {
    let Some(here) = state.sites.get_mut(site) else { return false };
    let server = &mut here.sql;
    if !server.is_up() || server.read_only {
        return false;
    }
    let Ok(id) = i64::try_from(BY_USERS + number) else { return false };
    let Some(schema) = server.schema_mut(SHOP) else { return false };
    let fires = schema.triggers.values().any(|code| code.text == ON_ORDER);
    // A foreign key needs its customer, and a trigger its table: one transaction, or nothing.
    let Some(customer) = schema.tables.get("customers").and_then(|table| table.rows.keys().next().copied()) else {
        return false;
    };
    if fires && !schema.tables.contains_key("audit") {
        return false;
    }
    let Some(orders) = schema.tables.get_mut("orders") else { return false };
    if orders.insert(order(id, customer, Some("by a user"))).is_err() {
        return false;
    }
    if fires && schema.tables.get_mut("audit").is_some_and(|audit| audit.insert(audited(id)).is_err()) {
        if let Some(orders) = schema.tables.get_mut("orders") {
            orders.rows.remove(&id);
        }
        return false;
    }
    server.changes += 1;
    state.changed(site, Store::Sql, format!("order {id}"));
    true
}

/// Counts what a site holds.
pub fn count(state: &State, site: &SiteName, counts: &mut Counts) {
    let Some(here) = state.sites.get(site) else { return };
    for (db, schema) in &here.sql.schemas {
        for (name, table) in &schema.tables {
            counts.rows.insert(format!("{db}.{name}"), table.rows.len() as u64);
        }
    }
}

/// Tells everything that a site holds, content included.
pub fn truth(state: &State, site: &SiteName, truth: &mut Truth) {
    let Some(here) = state.sites.get(site) else { return };
    for (db, schema) in &here.sql.schemas {
        for (name, table) in &schema.tables {
            truth.items.insert(format!("sql/{db}.{name}"), table.body.clone());
            for (key, row) in &table.rows {
                let mut text = String::new();
                for (column, value) in table.columns.iter().zip(row) {
                    // Writing to a `String` cannot fail.
                    let _ = write!(text, "{}=", quoted(&column.name));
                    value.write(&mut text);
                    text.push(' ');
                }
                truth.items.insert(format!("sql/{db}.{name}/{key}"), text.trim_end().to_owned());
            }
        }
        for (name, view) in &schema.views {
            truth.items.insert(format!("sql/{db}/view {name}"), format!("{}: {}", view.definer, view.select));
        }
        for code in [&schema.triggers, &schema.routines, &schema.events] {
            for (name, code) in code {
                truth.items.insert(format!("sql/{db}/code {name}"), format!("{}: {}", code.definer, code.text));
            }
        }
    }
}
