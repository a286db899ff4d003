//! The one fold: events in, state out. An illegal history is an error, never patched over.
