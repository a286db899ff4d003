//! The signals that end the console in order: with its terminal given back, and the way to what goes on.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that end the console.
pub(super) struct Ends(Vec<(&'static str, Signal)>);

impl Ends {
    /// Hears them from now on: none of them kills the program any more.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn hear() -> io::Result<Self> {
        let kinds = [
            ("SIGTERM", SignalKind::terminate()),
            ("SIGHUP", SignalKind::hangup()),
            ("SIGINT", SignalKind::interrupt()),
            ("SIGQUIT", SignalKind::quit()),
        ];
        let heard = kinds.into_iter().map(|(name, kind)| Ok((name, signal(kind)?)));
        heard.collect::<io::Result<_>>().map(Self)
    }

    /// Waits for one of them. Returns its name.
    pub(super) async fn next(&mut self) -> &'static str {
        let heard = self.0.iter_mut().map(|(name, signal)| {
            Box::pin(async move {
                signal.recv().await;
                *name
            })
        });
        futures::future::select_all(heard).await.0
    }
}
