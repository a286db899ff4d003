//! The estate: everything under one pair of sites, as the operator wrote it, and look-ups on it.
//!
//! Pure: text in, estate or diagnostics out. It knows that services exist and what kind they are, but not what the
//! settings of a kind mean: those are decoded by the kind's own room in `systems`.

mod file;
mod parse;
mod rules;

pub use file::{
    Estate, Health, Host, Objectives, Pace, Policy, Service, Site, Ssh, Transfer, TransferBy, TransferFrom,
};
pub use parse::{examine, parse};
