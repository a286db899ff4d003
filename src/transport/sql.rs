//! MySQL and MariaDB: statements one after the other in one session, every value as the server has it.

use std::time::Duration;

use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::prelude::{Protocol, Queryable};
use mysql_async::{Column, Conn, Error, IoError, Opts, OptsBuilder, Params, QueryResult, Row, SslOpts, Value};
use tokio::time::timeout;

use super::tunnel::CONNECT;
use crate::model::Secret;
use crate::port::{ReachError, ReachErrorKind, SqlAddress, SqlEndpoint, SqlRows, SqlStatement, SqlValue};

/// Server errors at the login that will pass: too many connections, shutting down, too many of this user.
const WILL_PASS: [u16; 4] = [1040, 1053, 1203, 1226];
/// The mark of a column whose fraction has no fixed length.
const ANY_FRACTION: u8 = 31;

/// Logs in at `address` (which may lead to the endpoint by another way) and runs the statements.
///
/// # Errors
/// `Unreachable` and `Denied` when there is no session; `Refused` with the server's code and words when a statement
/// fails; `Lost` when a statement was sent and not answered.
pub(super) async fn run(
    address: &SqlAddress,
    endpoint: &SqlEndpoint,
    statements: &[SqlStatement],
) -> Result<Vec<SqlRows>, ReachError> {
    let at = endpoint.to_string();
    let login = timeout(CONNECT * 2, Conn::new(options(address, endpoint))).await;
    let mut session = match login {
        Ok(Ok(session)) => session,
        Ok(Err(error)) => return Err(login_failure(&at, endpoint, &error)),
        Err(_) => return Err(ReachError::new(ReachErrorKind::Unreachable, at, "no answer to the login")),
    };
    let mut answers = Vec::with_capacity(statements.len());
    for (number, statement) in statements.iter().enumerate() {
        let which = if statements.len() > 1 {
            format!(" (statement {} of {})", number + 1, statements.len())
        } else {
            String::new()
        };
        let answer = timeout(statement.timeout, answer(&mut session, statement)).await;
        let answer = answer.unwrap_or_else(|_| {
            // Dropping the session does not stop the statement: the server works on.
            let got =
                format!("no answer within {}{which}; it may still be running", crate::model::Span(statement.timeout));
            Err(ReachError::new(ReachErrorKind::Lost, &at, got))
        });
        answers.push(answer.map_err(|error| match error.kind {
            _ if error.at == at => error,
            kind => ReachError { at: at.clone(), kind, got: format!("{}{which}", error.got), hint: error.hint },
        })?);
    }
    // Everything has been answered: how the goodbye goes changes nothing.
    drop(timeout(Duration::from_secs(1), session.disconnect()).await);
    Ok(answers)
}

fn options(address: &SqlAddress, endpoint: &SqlEndpoint) -> Opts {
    let options = OptsBuilder::default()
        .user(Some(&endpoint.user))
        .pass(endpoint.password.as_ref().map(Secret::expose))
        .db_name(endpoint.database.as_ref())
        .prefer_socket(false)
        .stmt_cache_size(0)
        // Told, so that nothing is asked before the first statement.
        .max_allowed_packet(Some(16 * 1024 * 1024))
        .wait_timeout(Some(28_800));
    match address {
        SqlAddress::Tcp(host, port) => options
            .ip_or_hostname(host)
            .tcp_port(*port)
            .ssl_opts(endpoint.ca_pem.as_deref().map(|pem| tls(pem, endpoint))),
        SqlAddress::Socket(path) => options.socket(Some(path)),
    }
    .into()
}

/// Only this authority counts, and the name is the server's own, also where the way to it begins at another address.
fn tls(ca_pem: &str, endpoint: &SqlEndpoint) -> SslOpts {
    // Somebody in this process may have chosen before us, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let options =
        SslOpts::default().with_disable_built_in_roots(true).with_root_certs(vec![ca_pem.as_bytes().to_vec().into()]);
    match &endpoint.address {
        SqlAddress::Tcp(name, _) => options.with_danger_tls_hostname_override(Some(name.clone())),
        SqlAddress::Socket(_) => options,
    }
}

/// Why the two sides could not agree on an encrypted session, when that is why there is none, and what to do.
fn disagreement(error: &Error) -> Option<(String, &'static str)> {
    const TRUST: &str = "the server's certificate is not trusted here: `ca_pem` of the service in the estate must be the \
                         authority that signed it, and `address` a name that is in the certificate";
    const CIPHERS: &str = "the server must offer TLS 1.3, or TLS 1.2 with elliptic curves, which programs built with \
                           OpenSSL 1.0 do not: there, leave out `ca_pem` and use `via = \"ssh\"`";
    match error {
        Error::Io(IoError::Tls(error)) => Some((error.to_string(), TRUST)),
        Error::Io(IoError::Io(error)) => {
            let inner = error.get_ref()?.downcast_ref::<rustls::Error>()?;
            let is_trust = matches!(inner, rustls::Error::InvalidCertificate(_));
            Some((inner.to_string(), if is_trust { TRUST } else { CIPHERS }))
        }
        _ => None,
    }
}

async fn answer(session: &mut Conn, statement: &SqlStatement) -> Result<SqlRows, ReachError> {
    let answer = if statement.values.is_empty() {
        // Not every statement can be prepared (FLUSH, some SHOW and SET): without values the text goes as it is.
        match session.query_iter(&statement.text).await {
            Ok(result) => collect(result).await,
            Err(error) => Err(error),
        }
    } else {
        let values: Vec<Value> = statement.values.iter().map(bound).collect();
        match session.exec_iter(&statement.text, Params::Positional(values)).await {
            Ok(result) => collect(result).await,
            Err(error) => Err(error),
        }
    };
    answer.map_err(|error| match error {
        Error::Server(error) => ReachError::new(ReachErrorKind::Refused, "", server_words(&error)),
        Error::Driver(error) if is_ours(&error) => ReachError::new(ReachErrorKind::Denied, "", error.to_string()),
        error => ReachError::new(ReachErrorKind::Lost, "", error.to_string()),
    })
}

/// True for complaints of the driver about the statement itself, before anything was executed.
fn is_ours(error: &mysql_async::DriverError) -> bool {
    use mysql_async::DriverError as D;
    matches!(error, D::StmtParamsMismatch { .. } | D::MixedParams | D::Params(_))
}

fn server_words(error: &mysql_async::ServerError) -> String {
    format!("ERROR {} ({}): {}", error.code, error.state, error.message)
}

/// The first set of rows; the rest is read to its end, because an error may come late.
async fn collect<P: Protocol>(mut result: QueryResult<'_, '_, P>) -> Result<SqlRows, Error> {
    let columns = result.columns().filter(|columns| !columns.is_empty());
    let mut answer = SqlRows::default();
    match &columns {
        Some(columns) => answer.columns = columns.iter().map(|column| column.name_str().into_owned()).collect(),
        // Only an answer without rows counts changes; beside rows the driver has a number from before.
        None => answer.affected = result.affected_rows(),
    }
    let rows: Vec<Row> = result.collect().await?;
    answer.rows = rows.into_iter().map(values).collect();
    result.drop_result().await?;
    Ok(answer)
}

fn values(row: Row) -> Vec<SqlValue> {
    let columns = row.columns();
    row.unwrap().into_iter().zip(columns.iter()).map(|(value, column)| read(value, column)).collect()
}

fn bound(value: &SqlValue) -> Value {
    match value {
        SqlValue::Null => Value::NULL,
        SqlValue::Integer(number) => Value::Int(*number),
        SqlValue::Unsigned(number) => Value::UInt(*number),
        SqlValue::Double(number) => Value::Double(*number),
        SqlValue::Bytes(bytes) => Value::Bytes(bytes.clone()),
    }
}

/// A value as both protocols should show it: the text protocol sends numbers as text, the other one dates as numbers.
fn read(value: Value, column: &Column) -> SqlValue {
    let is_date = column.column_type() == ColumnType::MYSQL_TYPE_DATE;
    match value {
        Value::NULL => SqlValue::Null,
        Value::Int(number) => SqlValue::Integer(number),
        Value::UInt(number) => SqlValue::Unsigned(number),
        // By way of text, so that 0.1 stays 0.1.
        Value::Float(number) => {
            number.to_string().parse().map_or(SqlValue::Double(f64::from(number)), SqlValue::Double)
        }
        Value::Double(number) => SqlValue::Double(number),
        Value::Bytes(bytes) => number(&bytes, column).unwrap_or(SqlValue::Bytes(bytes)),
        Value::Date(year, month, day, ..) if is_date => text(format!("{year:04}-{month:02}-{day:02}")),
        Value::Date(year, month, day, hour, minute, second, micros) => {
            let date = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
            text(date + &fraction(micros, column.decimals()))
        }
        Value::Time(negative, days, hours, minutes, seconds, micros) => {
            let sign = if negative { "-" } else { "" };
            let hours = days * 24 + u32::from(hours);
            text(format!("{sign}{hours:02}:{minutes:02}:{seconds:02}") + &fraction(micros, column.decimals()))
        }
    }
}

/// A number that came as text, if it can be one without losing anything.
fn number(bytes: &[u8], column: &Column) -> Option<SqlValue> {
    use ColumnType as C;
    if column.flags().contains(ColumnFlags::ZEROFILL_FLAG) {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    match column.column_type() {
        C::MYSQL_TYPE_TINY
        | C::MYSQL_TYPE_SHORT
        | C::MYSQL_TYPE_INT24
        | C::MYSQL_TYPE_LONG
        | C::MYSQL_TYPE_LONGLONG => {
            let signed = text.parse().ok().map(SqlValue::Integer);
            signed.or_else(|| text.parse().ok().map(SqlValue::Unsigned))
        }
        C::MYSQL_TYPE_FLOAT | C::MYSQL_TYPE_DOUBLE => text.parse().ok().map(SqlValue::Double),
        _ => None,
    }
}

fn fraction(micros: u32, decimals: u8) -> String {
    match decimals {
        0 => String::new(),
        ANY_FRACTION.. if micros == 0 => String::new(),
        decimals => {
            let digits = format!("{micros:06}");
            format!(".{}", &digits[..usize::from(decimals.min(6))])
        }
    }
}

fn text(text: String) -> SqlValue {
    SqlValue::Bytes(text.into_bytes())
}

fn login_failure(at: &str, endpoint: &SqlEndpoint, error: &Error) -> ReachError {
    use ReachErrorKind::{Denied, Unreachable};
    if let Some((got, hint)) = disagreement(error) {
        return ReachError::new(Denied, at, got).hint(hint);
    }
    match error {
        Error::Server(error) if WILL_PASS.contains(&error.code) => {
            ReachError::new(Unreachable, at, server_words(error))
        }
        Error::Server(error) => ReachError::new(Denied, at, server_words(error)).hint(match error.code {
            1049 => "the schema is not there",
            // MariaDB says the same of a session that it wants encrypted as of a wrong password.
            1045 if endpoint.ca_pem.is_none() => {
                "look at `user` and `password` of the service in the estate, and at the user's rights on the server; if \
                 it takes encrypted sessions only, give the service `ca_pem`"
            }
            3159 => "the server takes encrypted sessions only: give the service `ca_pem` in the estate",
            _ => "look at `user` and `password` of the service in the estate, and at the user's rights on the server",
        }),
        Error::Driver(mysql_async::DriverError::NoClientSslFlagFromServer) => {
            ReachError::new(Denied, at, "the server takes no encrypted sessions")
                .hint("the service has `ca_pem` in the estate: give the server a certificate, or leave `ca_pem` out")
        }
        Error::Io(_) | Error::Driver(mysql_async::DriverError::ConnectionClosed) => {
            let failure = ReachError::new(Unreachable, at, error.to_string());
            match &endpoint.through {
                Some((site, host)) => {
                    failure.hint(format!("does the server listen at {}, as seen from {site}:{host}?", endpoint.address))
                }
                None => failure,
            }
        }
        error => ReachError::new(Denied, at, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(kind: ColumnType, decimals: u8) -> Column {
        Column::new(kind).with_decimals(decimals)
    }

    #[test]
    fn values_look_the_same_in_both_protocols() {
        use ColumnType as C;
        let bytes = |text: &str| SqlValue::Bytes(text.as_bytes().to_vec());
        let cases = [
            (Value::Bytes(b"-7".into()), column(C::MYSQL_TYPE_LONG, 0), SqlValue::Integer(-7)),
            (Value::Int(-7), column(C::MYSQL_TYPE_LONG, 0), SqlValue::Integer(-7)),
            (
                Value::Bytes(b"18446744073709551615".into()),
                column(C::MYSQL_TYPE_LONGLONG, 0),
                SqlValue::Unsigned(u64::MAX),
            ),
            (Value::Bytes(b"1.10".into()), column(C::MYSQL_TYPE_NEWDECIMAL, 2), bytes("1.10")),
            (Value::Bytes(b"12".into()), column(C::MYSQL_TYPE_VAR_STRING, 0), bytes("12")),
            (Value::Float(0.1), column(C::MYSQL_TYPE_FLOAT, 31), SqlValue::Double(0.1)),
            (Value::Bytes(b"0.1".into()), column(C::MYSQL_TYPE_FLOAT, 31), SqlValue::Double(0.1)),
            (Value::Date(2026, 1, 2, 0, 0, 0, 0), column(C::MYSQL_TYPE_DATE, 0), bytes("2026-01-02")),
            (Value::Date(2026, 1, 2, 0, 0, 0, 0), column(C::MYSQL_TYPE_DATETIME, 0), bytes("2026-01-02 00:00:00")),
            (
                Value::Date(2026, 1, 2, 3, 4, 5, 60),
                column(C::MYSQL_TYPE_TIMESTAMP, 6),
                bytes("2026-01-02 03:04:05.000060"),
            ),
            (Value::Time(true, 2, 1, 0, 9, 500_000), column(C::MYSQL_TYPE_TIME, 1), bytes("-49:00:09.5")),
            (Value::NULL, column(C::MYSQL_TYPE_LONG, 0), SqlValue::Null),
        ];
        for (value, column, wanted) in cases {
            assert_eq!(read(value.clone(), &column), wanted, "{value:?}");
        }
    }
}
