//! Lines from a socket, none longer than allowed. A read that is given up half way loses nothing.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Reads lines.
pub(super) struct Lines<R> {
    from: R,
    /// What has been read and not been given out.
    held: Vec<u8>,
    /// How much of it is known to have no newline.
    searched: usize,
    longest: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(from: R, longest: usize) -> Self {
        Self { from, held: Vec::new(), searched: 0, longest }
    }

    /// The next line without its newline; nothing at the end. What follows the last newline is not a line.
    pub(super) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.held[self.searched..]) {
                let rest = self.held.split_off(self.searched + end + 1);
                let mut line = std::mem::replace(&mut self.held, rest);
                line.pop();
                self.searched = 0;
                return Ok(Some(line));
            }
            self.searched = self.held.len();
            if self.held.len() > self.longest {
                let got = format!("a line is longer than {} bytes", self.longest);
                return Err(io::Error::new(io::ErrorKind::InvalidData, got));
            }
            if self.from.read_buf(&mut self.held).await? == 0 {
                return Ok(None);
            }
        }
    }
}
