//! Byte streams to servers: directly from this machine, or through the SSH connection of a host.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::time::timeout;

use super::clock::fresh_word;
use super::ssh::{Remote, SshHost};
use crate::port::{ReachError, ReachErrorKind};

/// How long to wait for a server to accept.
pub(super) const CONNECT: Duration = Duration::from_secs(10);

/// A connection, whatever carries it.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Connects to a server, through the SSH connection of `host` if there is one.
///
/// A server that is down behind an SSH connection shows only when it is spoken to: the stream ends at once.
///
/// # Errors
/// `Unreachable`, or what the SSH connection says.
pub(super) async fn connect(host: Option<&Arc<SshHost>>, remote: &Remote) -> Result<Box<dyn Stream>, ReachError> {
    let unreachable = |got: String| ReachError::new(ReachErrorKind::Unreachable, remote.to_string(), got);
    let connecting = async {
        match (host, remote) {
            (Some(host), _) => {
                let path = host.forward(remote, false).await?;
                if let Ok(stream) = UnixStream::connect(&path).await {
                    return Ok(Box::new(stream) as Box<dyn Stream>);
                }
                // The connection that carried it has ended since: nothing has been sent, so make another.
                let path = host.forward(remote, true).await?;
                let stream = UnixStream::connect(&path).await.map_err(|error| unreachable(error.to_string()))?;
                Ok(Box::new(stream) as Box<dyn Stream>)
            }
            (None, Remote::Tcp(address, port)) => {
                let stream = TcpStream::connect((address.as_str(), *port)).await;
                let stream = stream.map_err(|error| unreachable(error.to_string()))?;
                // Small requests and answers: waiting for more to send would only cost time.
                stream.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
                Ok(Box::new(stream) as Box<dyn Stream>)
            }
            (None, Remote::Unix(path)) => {
                let stream = UnixStream::connect(path).await.map_err(|error| unreachable(error.to_string()))?;
                Ok(Box::new(stream) as Box<dyn Stream>)
            }
        }
    };
    let limit = if host.is_some() { CONNECT * 3 } else { CONNECT };
    timeout(limit, connecting)
        .await
        .unwrap_or_else(|_| Err(unreachable(format!("no connection within {}", crate::model::Span(limit)))))
}

/// Where a client library that only knows addresses can find a stream.
pub(super) enum Door {
    /// A port of 127.0.0.1.
    Port(u16),
    /// A Unix socket.
    Socket(String),
}

/// Offers `stream` to the first client that comes to a door of the same family as `remote`, so that the client and the
/// server agree on whether they talk over TCP. The door is shut behind it.
///
/// # Errors
/// `Denied` when this machine has no room for a door.
pub(super) async fn door(mut stream: Box<dyn Stream>, remote: &Remote, runtime: &Path) -> Result<Door, ReachError> {
    let failed = |error: std::io::Error| ReachError::new(ReachErrorKind::Denied, "this machine", error.to_string());
    Ok(match remote {
        Remote::Tcp(..) => {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
            let port = listener.local_addr().map_err(failed)?.port();
            tokio::spawn(async move {
                if let Ok(Ok((mut client, _))) = timeout(CONNECT, listener.accept()).await {
                    drop(listener);
                    drop(client.set_nodelay(true));
                    // How the conversation ended is the client's business.
                    drop(copy_bidirectional(&mut client, &mut stream).await);
                }
            });
            Door::Port(port)
        }
        Remote::Unix(_) => {
            let path = runtime.join(format!("p-{}", &fresh_word()[..12]));
            let listener = UnixListener::bind(&path).map_err(failed)?;
            let text = path.display().to_string();
            tokio::spawn(async move {
                let accepted = timeout(CONNECT, listener.accept()).await;
                drop(listener);
                drop(std::fs::remove_file(&path));
                if let Ok(Ok((mut client, _))) = accepted {
                    drop(copy_bidirectional(&mut client, &mut stream).await);
                }
            });
            Door::Socket(text)
        }
    })
}
