//! The binary as an operator runs it, for the commands that touch no host.

mod check;
mod confirmed;
mod files;
mod home;
mod init;
mod resume;
mod theme;
mod told;
