//! What is in a database: tables with their columns and rows, views, and stored code. Pure.

use std::collections::BTreeMap;

use super::value::{Cursor, Value};

/// A row, in the order of the columns.
pub type Row = Vec<Value>;

/// A database.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// Its tables.
    pub tables: BTreeMap<String, Table>,
    /// Its views.
    pub views: BTreeMap<String, View>,
    /// Its triggers.
    pub triggers: BTreeMap<String, Code>,
    /// Its procedures.
    pub routines: BTreeMap<String, Code>,
    /// Its events.
    pub events: BTreeMap<String, Code>,
}

/// A view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The account it runs as: `user@host`.
    pub definer: String,
    /// Its `select …`.
    pub select: String,
}

impl View {
    /// The names of its columns: what stands behind each `AS`.
    #[must_use]
    pub fn columns(&self) -> Vec<String> {
        let parts = self.select.split(" AS ").skip(1);
        parts.filter(|part| part.starts_with('`')).filter_map(|part| Cursor::new(part).name()).collect()
    }
}

/// A trigger, procedure or event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// The account it runs as: `user@host`.
    pub definer: String,
    /// Its text, beginning with what it is: `TRIGGER orders_audit AFTER …`.
    pub text: String,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whole numbers.
    Number,
    /// Text.
    Text,
    /// Bytes.
    Binary,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// True when it may be NULL.
    pub nullable: bool,
    /// How it is made from another column, if it is.
    pub generated: Option<Generated>,
}

/// A column that is made from another: `` `from` * times DIV over ``.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    from: String,
    times: i64,
    over: i64,
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    /// What stands in its `CREATE TABLE` between the name and the options.
    pub body: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Which column the primary key is.
    key: usize,
    /// Its rows by primary key.
    pub rows: BTreeMap<i64, Row>,
    /// Which change of the server made it: a table of the same name that was made anew is another one.
    pub born: u64,
}

/// Why a row cannot be put into a table: the server's number and words.
pub type Misfit = (u16, String);

impl Table {
    /// Reads the body of a `CREATE TABLE`: a column or key on each line. Nothing when it is damaged.
    #[must_use]
    pub fn read(body: &str, born: u64) -> Option<Self> {
        let mut columns = Vec::new();
        let mut key = None;
        for line in body.lines() {
            let line = line.trim().trim_end_matches(',');
            let mut cursor = Cursor::new(line);
            if line.starts_with('`') {
                columns.push(column(&mut cursor)?);
            } else if cursor.words("PRIMARY KEY").is_some() {
                key = Some(in_brackets(&mut cursor)?);
            } else if cursor.words("KEY").is_some() {
                cursor.name()?;
                in_brackets(&mut cursor)?;
            } else {
                cursor.words("CONSTRAINT")?;
                cursor.name()?;
                cursor.words("FOREIGN KEY")?;
                in_brackets(&mut cursor)?;
                cursor.words("REFERENCES")?;
                cursor.name()?;
                in_brackets(&mut cursor)?;
            }
            if !cursor.is_done() {
                return None;
            }
        }
        let key = key?;
        let key = columns.iter().position(|column| column.name == key)?;
        Some(Self { body: body.to_owned(), columns, key, rows: BTreeMap::new(), born })
    }

    /// Puts a row in and returns its key; values of generated columns are made, whatever they are given as.
    ///
    /// # Errors
    /// When it does not fit, or its key is taken.
    pub fn insert(&mut self, mut row: Row) -> Result<i64, Misfit> {
        if row.len() != self.columns.len() {
            return Err((1136, "Column count doesn't match value count at row 1".to_owned()));
        }
        for (at, column) in self.columns.iter().enumerate() {
            if let Some(generated) = &column.generated {
                row[at] = self.generate(generated, &row);
                continue;
            }
            let given = std::mem::replace(&mut row[at], Value::Null);
            row[at] = match (column.kind, given) {
                (_, Value::Null) if !column.nullable => {
                    return Err((1048, format!("Column '{}' cannot be null", column.name)));
                }
                (_, Value::Null) => Value::Null,
                (Kind::Number, Value::Number(number)) => Value::Number(number),
                (Kind::Text, Value::Text(text)) => Value::Text(text),
                (Kind::Binary, Value::Binary(bytes)) => Value::Binary(bytes),
                (Kind::Binary, Value::Text(text)) => Value::Binary(text.into_bytes()),
                (_, other) => {
                    return Err((1366, format!("Incorrect value: {other:?} for column '{}' at row 1", column.name)));
                }
            };
        }
        let Value::Number(key) = row[self.key] else {
            return Err((1366, format!("Incorrect value for column '{}' at row 1", self.columns[self.key].name)));
        };
        if self.rows.contains_key(&key) {
            return Err((1062, format!("Duplicate entry '{key}' for key 'PRIMARY'")));
        }
        self.rows.insert(key, row);
        Ok(key)
    }

    fn generate(&self, how: &Generated, row: &Row) -> Value {
        let from = self.columns.iter().position(|column| column.name == how.from);
        match from.map(|at| &row[at]) {
            Some(Value::Number(number)) => Value::Number(number * how.times / how.over),
            _ => Value::Null,
        }
    }

    /// The value of a column of a row.
    #[must_use]
    pub fn value<'a>(&self, row: &'a Row, column: &str) -> Option<&'a Value> {
        row.get(self.columns.iter().position(|known| known.name == column)?)
    }
}

fn column(cursor: &mut Cursor<'_>) -> Option<Column> {
    let name = cursor.name()?;
    let kind = match cursor.word()? {
        "int" => Kind::Number,
        "varchar" | "text" => Kind::Text,
        "varbinary" => Kind::Binary,
        _ => return None,
    };
    if cursor.sign('(').is_some() {
        cursor.number()?;
        cursor.sign(')')?;
    }
    let mut generated = None;
    if cursor.words("GENERATED ALWAYS AS").is_some() {
        cursor.sign('(')?;
        let from = cursor.name()?;
        cursor.sign('*')?;
        let times = cursor.number()?;
        cursor.words("DIV")?;
        let over = cursor.number().filter(|over| *over != 0)?;
        cursor.sign(')')?;
        cursor.words("STORED")?;
        generated = Some(Generated { from, times, over });
    }
    let nullable = cursor.words("NOT NULL").is_none();
    if nullable && generated.is_none() {
        cursor.words("DEFAULT NULL")?;
    }
    Some(Column { name, kind, nullable, generated })
}

fn in_brackets(cursor: &mut Cursor<'_>) -> Option<String> {
    cursor.sign('(')?;
    let name = cursor.name()?;
    cursor.sign(')')?;
    Some(name)
}
