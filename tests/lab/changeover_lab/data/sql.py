"""SQL data: eight tables with foreign keys and every kind of column that dumps get wrong, and everything that is
not a table (view, trigger, procedure, function, event). Counting computes a checksum per table inside the server.
"""

import datetime
import hashlib
import json
import random

import pymysql
from pymysql.converters import escape_string

from changeover_lab.data.texts import HOSTILE, phrase
from changeover_lab.errors import LabError
from changeover_lab.layout import DATABASE, SQL_ADMIN
from changeover_lab.servers.sql import connect

#: table -> share of all rows in per mille; what remains goes to the last one
SHARES = {
    "categories": 2,
    "customers": 100,
    "addresses": 100,
    "products": 98,
    "purchases": 200,
    "attachments": 20,
    "audit": 80,
    "purchase_lines": None,
}

TABLES = """
CREATE TABLE categories (
    id INT PRIMARY KEY AUTO_INCREMENT,
    parent_id INT NULL,
    name VARCHAR(300) NOT NULL,
    FOREIGN KEY (parent_id) REFERENCES categories (id)
);
CREATE TABLE customers (
    id INT PRIMARY KEY AUTO_INCREMENT,
    name VARCHAR(300) NOT NULL,
    email VARCHAR(120) NOT NULL,
    born DATE NULL,
    balance DECIMAL(24,6) NOT NULL DEFAULT 0,
    registered DATETIME(6) NOT NULL,
    seen TIMESTAMP NULL DEFAULT NULL,
    vip TINYINT(1) NOT NULL DEFAULT 0,
    preferences JSON NULL,
    name_length INT GENERATED ALWAYS AS (CHAR_LENGTH(name)) VIRTUAL,
    UNIQUE KEY email (email)
);
CREATE TABLE addresses (
    customer_id INT NOT NULL,
    kind ENUM('home', 'work', 'größe', 'it''s') NOT NULL,
    street VARCHAR(300) NULL,
    latin VARCHAR(50) CHARACTER SET latin1 NULL,
    PRIMARY KEY (customer_id, kind),
    FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE CASCADE
);
CREATE TABLE products (
    id BINARY(16) PRIMARY KEY,
    category_id INT NOT NULL,
    title VARCHAR(300) NOT NULL,
    price DECIMAL(12,2) NOT NULL,
    tax DECIMAL(5,3) NOT NULL DEFAULT 8.100,
    gross DECIMAL(14,2) GENERATED ALWAYS AS (ROUND(price * (1 + tax / 100), 2)) STORED,
    weight DOUBLE NULL,
    flags BIT(8) NOT NULL,
    labels SET('new', 'sale', 'last') NOT NULL DEFAULT '',
    season YEAR NULL,
    duration TIME(3) NULL,
    stock BIGINT UNSIGNED NOT NULL,
    KEY gross (gross),
    FOREIGN KEY (category_id) REFERENCES categories (id)
);
CREATE TABLE purchases (
    id BIGINT PRIMARY KEY AUTO_INCREMENT,
    customer_id INT NOT NULL,
    placed DATETIME NOT NULL,
    state VARCHAR(20) NOT NULL,
    note TEXT NULL,
    KEY placed (placed),
    FOREIGN KEY (customer_id) REFERENCES customers (id)
);
CREATE TABLE purchase_lines (
    purchase_id BIGINT NOT NULL,
    position SMALLINT NOT NULL,
    product_id BINARY(16) NOT NULL,
    quantity INT NOT NULL,
    price DECIMAL(12,2) NOT NULL,
    total DECIMAL(14,2) GENERATED ALWAYS AS (quantity * price) STORED,
    PRIMARY KEY (purchase_id, position),
    FOREIGN KEY (purchase_id) REFERENCES purchases (id) ON DELETE CASCADE,
    FOREIGN KEY (product_id) REFERENCES products (id)
);
CREATE TABLE attachments (
    id INT PRIMARY KEY AUTO_INCREMENT,
    customer_id INT NULL,
    name VARBINARY(300) NOT NULL,
    content MEDIUMBLOB NOT NULL,
    FOREIGN KEY (customer_id) REFERENCES customers (id) ON DELETE SET NULL
);
CREATE TABLE audit (
    id BIGINT PRIMARY KEY AUTO_INCREMENT,
    happened DATETIME NOT NULL,
    what VARCHAR(50) NOT NULL,
    `order` INT NOT NULL,
    `strange ``name` TEXT NULL
)
"""

PROGRAMS = (
    """
CREATE DEFINER = `{definer}`@`%` SQL SECURITY DEFINER VIEW customer_turnover AS
SELECT c.id, c.name, COUNT(DISTINCT p.id) AS purchases, COALESCE(SUM(l.total), 0) AS turnover
FROM customers c LEFT JOIN purchases p ON p.customer_id = c.id LEFT JOIN purchase_lines l ON l.purchase_id = p.id
GROUP BY c.id, c.name
""",
    """
CREATE DEFINER = `{definer}`@`%` TRIGGER products_price AFTER UPDATE ON products FOR EACH ROW
BEGIN
    -- a semicolon inside; and a quote: '
    IF NEW.price <> OLD.price THEN
        INSERT INTO audit (happened, what, `order`) VALUES (UTC_TIMESTAMP(), CONCAT('price;', NEW.price), 0);
    END IF;
END
""",
    """
CREATE DEFINER = `{definer}`@`%` PROCEDURE raise_prices(IN percent DECIMAL(5,2))
BEGIN
    UPDATE products SET price = ROUND(price * (1 + percent / 100), 2);
    SELECT 'größe; \\'done\\'' AS result;
END
""",
    """
CREATE DEFINER = `{definer}`@`%` FUNCTION turnover_of(customer INT) RETURNS DECIMAL(20,2) READS SQL DATA
RETURN (SELECT SUM(l.total) FROM purchases p JOIN purchase_lines l ON l.purchase_id = p.id
        WHERE p.customer_id = customer)
""",
    """
CREATE DEFINER = `{definer}`@`%` EVENT forget_old_audit ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 03:00:00'
COMMENT 'it''s; quoted' DO DELETE FROM audit WHERE happened < '1990-01-01'
""",
)

BATCH_BYTES = 500_000
EPOCH = datetime.datetime(2020, 1, 1)


def load(site, rows, seed):
    """Replaces what an earlier load has stored."""
    connection = connect(site, autocommit=True)
    with connection, connection.cursor() as cursor:
        cursor.execute("SET time_zone = '+00:00', sql_mode = 'STRICT_TRANS_TABLES', foreign_key_checks = 0")
        remove(cursor)
        for statement in TABLES.split(";\n"):
            cursor.execute(statement)
        cursor.execute("SET unique_checks = 0")
        generator = random.Random(f"sql {seed}")
        for table, statements in generate(amounts(rows), generator).items():
            insert(cursor, table, statements)
        for program in PROGRAMS:
            cursor.execute(program.format(definer=SQL_ADMIN))


def remove(cursor):
    for table in SHARES:
        cursor.execute(f"DROP TABLE IF EXISTS {table}")
    for program in ("VIEW customer_turnover", "PROCEDURE raise_prices", "FUNCTION turnover_of"):
        kind, name = program.split()
        cursor.execute(f"DROP {kind} IF EXISTS {name}")
    cursor.execute("DROP EVENT IF EXISTS forget_old_audit")


def amounts(rows):
    """How many rows each table gets; tables that others point to have at least one."""
    wanted = {table: max(1, rows * share // 1000) for table, share in SHARES.items() if share is not None}
    # an address needs a customer, and a customer has at most two
    wanted["addresses"] = min(wanted["addresses"], 2 * wanted["customers"])
    wanted["purchase_lines"] = max(0, rows - sum(wanted.values()))
    return wanted


def insert(cursor, table, tuples):
    """Many rows per statement, up to a size that every server accepts."""
    columns, tuples = tuples
    head = f"INSERT INTO {table} ({columns}) VALUES "
    batch, size = [], 0
    cursor.execute("START TRANSACTION")
    for values in tuples:
        batch.append(values)
        size += len(values)
        if size > BATCH_BYTES:
            cursor.execute(head + ",".join(batch))
            batch, size = [], 0
    if batch:
        cursor.execute(head + ",".join(batch))
    cursor.execute("COMMIT")


def generate(wanted, generator):
    """table -> (columns, rows as SQL text), in an order in which every row's references exist before it."""
    product_ids = [hashlib.md5(f"product {n}".encode()).hexdigest() for n in range(wanted["products"])]
    customers = wanted["customers"]
    return {
        "categories": ("id, parent_id, name", categories(wanted["categories"], generator)),
        "customers": (
            "id, name, email, born, balance, registered, seen, vip, preferences",
            customer_rows(customers, generator),
        ),
        "addresses": ("customer_id, kind, street, latin", addresses(wanted["addresses"], customers, generator)),
        "products": (
            "id, category_id, title, price, weight, flags, labels, season, duration, stock",
            products(product_ids, wanted["categories"], generator),
        ),
        "purchases": ("id, customer_id, placed, state, note", purchases(wanted["purchases"], customers, generator)),
        "attachments": ("customer_id, name, content", attachments(wanted["attachments"], customers, generator)),
        "audit": ("happened, what, `order`, `strange ``name`", audit(wanted["audit"], generator)),
        "purchase_lines": (
            "purchase_id, position, product_id, quantity, price",
            lines(wanted["purchase_lines"], wanted["purchases"], product_ids, generator),
        ),
    }


def text(value):
    return f"'{escape_string(value)}'"


def moment(number, microseconds=""):
    return f"'{EPOCH + datetime.timedelta(seconds=number * 97)}{microseconds}'"


def categories(amount, generator):
    for number in range(1, amount + 1):
        parent = "NULL" if number == 1 else str(generator.randint(1, number - 1))
        yield f"({number},{parent},{text(phrase(generator))})"


def customer_rows(amount, generator):
    for number in range(1, amount + 1):
        name = HOSTILE[number % len(HOSTILE)] if number % 20 == 0 else phrase(generator, 2, 2)
        born = "NULL" if number % 7 == 0 else f"'19{number % 100:02d}-{number % 12 + 1:02d}-{number % 28 + 1:02d}'"
        balance = f"{generator.getrandbits(50) - 2**49}.{number % 1_000_000:06d}"
        seen = "NULL" if number % 5 == 0 else moment(number)
        preferences = "NULL" if number % 3 == 0 else text(json.dumps({"theme": name, "n": number}, ensure_ascii=False))
        yield (
            f"({number},{text(name)},'c{number}@shop.example',{born},{balance},"
            f"{moment(number, f'.{number % 1_000_000:06d}')},{seen},{number % 2},{preferences})"
        )


def addresses(amount, customers, generator):
    kinds = ("'home'", "'größe'") if customers else ()
    for number in range(amount):
        street = "NULL" if number % 9 == 0 else text(phrase(generator))
        latin = "NULL" if number % 4 else "'Zürich ñ ÿ ¼'"
        yield f"({number % customers + 1},{kinds[number // customers]},{street},{latin})"


def products(ids, categories_, generator):
    for number, product in enumerate(ids):
        weight = "NULL" if number % 11 == 0 else repr(generator.random() * 10 ** generator.randint(-5, 15))
        hours, minutes = generator.randint(-800, 800), generator.randint(0, 59)
        season = "NULL" if number % 13 == 0 else str(1901 + number % 250)
        yield (
            f"(0x{product},{generator.randint(1, categories_)},{text(phrase(generator))},"
            f"{generator.randint(1, 999999) / 100:.2f},{weight},{number % 256},'{('', 'new', 'new,last')[number % 3]}',"
            f"{season},'{hours}:{minutes:02d}:01.125',{2**64 - 1 - number})"
        )


def purchases(amount, customers, generator):
    states = ("open", "paid", "sent", "returned")
    for number in range(1, amount + 1):
        note = "NULL" if number % 3 else text(phrase(generator))
        yield f"({number},{generator.randint(1, customers)},{moment(number)},'{states[number % 4]}',{note})"


def lines(amount, purchases_, product_ids, generator):
    for number in range(amount):
        yield (
            f"({number % purchases_ + 1},{number // purchases_},0x{generator.choice(product_ids)},"
            f"{generator.randint(1, 9)},{generator.randint(1, 99999) / 100:.2f})"
        )


def attachments(amount, customers, generator):
    every_byte = bytes(range(256))
    for number in range(amount):
        customer = "NULL" if number % 6 == 0 else str(generator.randint(1, customers))
        turn = number % 256
        content = (every_byte[turn:] + every_byte[:turn]) * (number % 8)
        if number % 100 == 1:
            content = generator.randbytes(100_000)
        yield f"({customer},0x{bytes([turn, 0, 39, 92, 255]).hex()},{f'0x{content.hex()}' if content else chr(39) * 2})"


def audit(amount, generator):
    for number in range(amount):
        strange = "NULL" if number % 2 else text(phrase(generator))
        yield f"({moment(number)},{text(generator.choice(('login', 'logout', 'it;s')))},{number},{strange})"


# -- counting


def count(site):
    """Tables with rows and checksums, and the names of everything else."""
    try:
        with connect(site, database=None) as connection, connection.cursor() as cursor:
            return inventory(cursor)
    except pymysql.err.MySQLError as error:
        raise LabError(f"counted in SQL at {site.sql_address}", str(error), "see `lab status`") from None


def inventory(cursor):
    cursor.execute("SET NAMES utf8mb4")
    cursor.execute("SET time_zone = '+00:00'")
    if not names(cursor, "SELECT schema_name FROM information_schema.schemata WHERE schema_name = %s"):
        return {}
    tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_type = "
    routines = "SELECT routine_name FROM information_schema.routines WHERE routine_schema = %s"
    triggers = "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = %s"
    events = "SELECT event_name FROM information_schema.events WHERE event_schema = %s"
    return {
        DATABASE: {
            "tables": {name: measure(cursor, name) for name in names(cursor, tables + "'BASE TABLE'")},
            "views": names(cursor, tables + "'VIEW'"),
            "routines": names(cursor, routines),
            "triggers": names(cursor, triggers),
            "events": names(cursor, events),
        }
    }


def names(cursor, question):
    cursor.execute(question, (DATABASE,))
    return sorted(row[0] for row in cursor.fetchall())


def measure(cursor, table):
    """Rows and checksum of a table.

    Every row is hashed as a whole, every value with its bytes, NULL apart from the empty string. The hashes are
    added up, so that the order of the rows does not matter and equal rows do not cancel out.
    """
    cursor.execute(
        "SELECT column_name, data_type, column_type FROM information_schema.columns "
        "WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
        (DATABASE, table),
    )
    columns = cursor.fetchall()
    values = ",".join(f"IFNULL({in_hex(name, kind)}, 'N')" for name, kind, _ in columns)
    # MySQL 9 has neither MD5 nor SHA1 any more
    row = f"SHA2(CONCAT_WS('|', {values}), 256)"
    sums = ", ".join(f"SUM(CAST(CONV(SUBSTRING(hash, {start}, 15), 16, 10) AS DECIMAL(20)))" for start in (1, 16))
    cursor.execute(
        f"SELECT COUNT(*), {sums} FROM (SELECT {row} AS hash FROM {backticked(DATABASE)}.{backticked(table)}) AS hashes"
    )
    rows, first, second = cursor.fetchone()
    summary = f"{[(name, kind) for name, _, kind in columns]} {rows} {first} {second}"
    return {"rows": rows, "checksum": hashlib.sha256(summary.encode()).hexdigest()[:32]}


def in_hex(name, kind):
    name = backticked(name)
    if kind in ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "bit"):
        return f"HEX({name})"
    return f"HEX(CAST({name} AS CHAR CHARACTER SET utf8mb4))"


def backticked(name):
    return "`" + name.replace("`", "``") + "`"
