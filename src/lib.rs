//! Changeover: replication, switchover and failover between two sites, from one terminal.
//!
//! Folders are layers and arrows go down only; `ARCHITECTURE.md` has the picture and a test holds the code to it.

pub mod check;
pub mod cli;
pub mod console;
pub mod document;
pub mod engine;
pub mod estate;
pub mod guard;
pub mod health;
pub mod journal;
pub mod model;
pub mod points;
pub mod port;
pub mod report;
pub mod run;
pub mod runbook;
pub mod scenario;
pub mod session;
pub mod style;
pub mod systems;
pub mod transport;
pub mod world;
