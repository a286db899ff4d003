//! Redis: commands one after the other on a fresh connection, up to the first error reply, which is a reply.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, RedisConnectionInfo, RedisError, Value};
use tokio::time::timeout;

use super::tunnel::Stream;
use crate::port::{ReachError, ReachErrorKind, RedisEndpoint, RedisReply};

/// How long one command may take. Emptying a large cache takes a while.
const COMMAND: Duration = Duration::from_mins(1);

/// Logs in on a connected stream and sends the commands, up to the first that is refused.
///
/// # Errors
/// `Denied` when the login is refused, `Lost` when the connection breaks once a command has been sent.
pub(super) async fn send(
    stream: Box<dyn Stream>,
    endpoint: &RedisEndpoint,
    commands: &[Vec<String>],
) -> Result<Vec<RedisReply>, ReachError> {
    let at = endpoint.to_string();
    let mut info = RedisConnectionInfo::default().set_skip_set_lib_name();
    if let Some(user) = &endpoint.user {
        info = info.set_username(user);
    }
    if let Some(password) = &endpoint.password {
        info = info.set_password(password.expose());
    }
    // The limits are ours: the crate's own half second is too short for a busy server.
    let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
    let login = timeout(super::tunnel::CONNECT, MultiplexedConnection::new_with_config(&info, stream, config)).await;
    let (mut connection, driver) = match login {
        Ok(Ok(ready)) => ready,
        Ok(Err(error)) => return Err(login_failure(&at, &error)),
        Err(_) => return Err(ReachError::new(ReachErrorKind::Unreachable, at, "no answer to the login")),
    };
    let driver = tokio::spawn(driver);
    let mut replies = Vec::with_capacity(commands.len());
    let mut ending = Ok(());
    for words in commands {
        let mut command = Cmd::new();
        for word in words {
            command.arg(word);
        }
        match timeout(COMMAND, connection.send_packed_command(&command)).await {
            Ok(Ok(value)) => replies.push(reply(value)),
            Ok(Err(error)) => match error_reply(&error) {
                Some(refusal) => replies.push(refusal),
                None => ending = Err(ReachError::new(ReachErrorKind::Lost, &at, error.to_string())),
            },
            Err(_) => ending = Err(ReachError::new(ReachErrorKind::Lost, &at, "no answer within a minute")),
        }
        // What follows a refusal may only be meant for when it was granted: a FLUSHDB behind a refused SELECT.
        if ending.is_err() || matches!(replies.last(), Some(RedisReply::Error(_))) {
            break;
        }
    }
    driver.abort();
    ending.map(|()| replies)
}

fn login_failure(at: &str, error: &RedisError) -> ReachError {
    if error.is_io_error() || error.is_connection_dropped() {
        return ReachError::new(ReachErrorKind::Unreachable, at, error.to_string());
    }
    ReachError::new(ReachErrorKind::Denied, at, error.to_string())
        .hint("look at `user` and `password` of the service in the estate")
}

/// The server's refusal, when that is what the error is.
fn error_reply(error: &RedisError) -> Option<RedisReply> {
    // The crate turns error replies into errors; only those have a code.
    let code = error.code()?;
    Some(RedisReply::Error(error.detail().map_or_else(|| code.to_owned(), |detail| format!("{code} {detail}"))))
}

fn reply(value: Value) -> RedisReply {
    match value {
        Value::Nil => RedisReply::Nil,
        Value::Int(number) => RedisReply::Integer(number),
        Value::BulkString(bytes) => RedisReply::Bytes(bytes),
        Value::SimpleString(text) => RedisReply::Status(text),
        Value::Okay => RedisReply::Status("OK".to_owned()),
        Value::Array(values) | Value::Set(values) | Value::Push { data: values, .. } => {
            RedisReply::Array(values.into_iter().map(reply).collect())
        }
        Value::Map(pairs) => {
            RedisReply::Array(pairs.into_iter().flat_map(|(key, value)| [reply(key), reply(value)]).collect())
        }
        Value::Attribute { data, .. } => reply(*data),
        Value::Double(number) => RedisReply::Bytes(number.to_string().into_bytes()),
        Value::Boolean(yes) => RedisReply::Integer(yes.into()),
        Value::VerbatimString { text, .. } => RedisReply::Bytes(text.into_bytes()),
        Value::ServerError(error) => RedisReply::Error(match error.details() {
            Some(details) => format!("{} {details}", error.code()),
            None => error.code().to_owned(),
        }),
        // Only the newer protocol, which is not asked for, has anything else.
        other => RedisReply::Bytes(format!("{other:?}").into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn endpoint() -> RedisEndpoint {
        RedisEndpoint { address: "h".into(), port: 1, through: None, user: None, password: None }
    }

    /// A server that answers each read with the next of `answers`, then hangs up.
    async fn ask(answers: &'static [&'static [u8]], commands: &[&[&str]]) -> Result<Vec<RedisReply>, ReachError> {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        tokio::spawn(async move {
            let mut buffer = [0; 1024];
            for answer in answers {
                let read = theirs.read(&mut buffer).await.expect("a command");
                assert!(read > 0);
                theirs.write_all(answer).await.expect("written");
            }
        });
        let commands: Vec<Vec<String>> =
            commands.iter().map(|words| words.iter().map(|&word| word.to_owned()).collect()).collect();
        send(Box::new(ours), &endpoint(), &commands).await
    }

    #[tokio::test]
    async fn replies_are_values() {
        let answers: &[&[u8]] = &[b"+OK\r\n", b"*3\r\n$6\r\nmaster\r\n:7\r\n$-1\r\n"];
        let replies = ask(answers, &[&["PING"], &["ROLE"]]).await.expect("replies");
        assert_eq!(
            replies,
            [
                RedisReply::Status("OK".into()),
                RedisReply::Array(vec![RedisReply::Bytes(b"master".into()), RedisReply::Integer(7), RedisReply::Nil]),
            ]
        );
    }

    #[tokio::test]
    async fn a_refusal_is_a_reply_and_nothing_is_sent_behind_it() {
        for words in ["READONLY You can't write against a read only replica.", "WRONGTYPE Operation against a key"] {
            let refusal = format!("-{words}\r\n").leak().as_bytes();
            let answers: &[&[u8]] = vec![&b"+OK\r\n"[..], refusal, b"+OK\r\n"].leak();
            let replies = ask(answers, &[&["PING"], &["SELECT", "9"], &["FLUSHDB"]]).await.expect("replies");
            assert_eq!(replies, [RedisReply::Status("OK".into()), RedisReply::Error(words.into())]);
        }
    }

    #[tokio::test]
    async fn a_broken_connection_is_lost() {
        let error = ask(&[b"+OK\r\n"], &[&["PING"], &["FLUSHALL"]]).await.expect_err("it hung up");
        assert_eq!(error.kind, ReachErrorKind::Lost);
    }
}
