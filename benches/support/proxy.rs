//! A link that is slower than the loopback: a TCP proxy that holds everything back for a while, or lets each connection
//! pass only so much a second. Every connection has a delay or a rate of its own, as on a link with a long way or with
//! a limit per stream.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// What is held back.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// How long a byte is on its way, in each direction.
    pub delay: Duration,
    /// Bytes a second for each connection and direction; 0 for no limit.
    pub rate: u32,
}

/// Leads from `listen` to `to` for as long as it lives.
pub struct Proxy {
    _runtime: Runtime,
}

impl Proxy {
    pub fn start(listen: SocketAddr, to: SocketAddr, link: Link) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind(listen)).expect("the address is free");
        runtime.spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect(to).await else { return };
                    drop((near.set_nodelay(true), far.set_nodelay(true)));
                    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                    tokio::join!(carry(near_in, far_out, link), carry(far_in, near_out, link));
                });
            }
        });
        Self { _runtime: runtime }
    }
}

/// Carries one direction of a connection: read at once, written when it is due.
async fn carry(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf, link: Link) {
    // What is on its way; a long way holds more, as a real one does.
    let (sender, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(256);
    let reading = async move {
        let mut free = Instant::now();
        let mut buffer = vec![0; 32 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let now = Instant::now();
            if link.rate > 0 {
                let takes =
                    Duration::from_secs_f64(f64::from(u32::try_from(count).unwrap_or(0)) / f64::from(link.rate));
                free = free.max(now) + takes;
                // A limit holds the sender up.
                sleep_until(free).await;
            }
            if sender.send((now.max(free) + link.delay, buffer[..count].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((when, bytes)) = due.recv().await {
            sleep_until(when).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        drop(to.shutdown().await);
    };
    tokio::join!(reading, writing);
}
