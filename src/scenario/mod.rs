//! Scenarios: what breaks in a simulated world and when, what counts as noticed, decided and done, the answers of an
//! operator who is not there, and the card that says how well it went.
//!
//! Pure: files in, values out; facts in, scores out. Who lets things break and carries runs out is `cli`.

mod answers;
mod briefing;
mod card;
mod facts;
mod file;
mod parse;
mod script;
mod shipped;
mod words;

pub use answers::{Act, AnswerEntry, Answers, When, examine_answers};
pub use briefing::briefing;
pub use card::{Card, Loss, Moment, WrongTurn};
pub use facts::{Action, Facts, Got, News, NewsKind, RunFact, Stir, StirKind, TruthFacts};
pub use file::{Counting, DecidedBy, DoneBy, Happening, NoticedBy, Scenario, WorldShape};
pub use parse::examine;
pub use script::Script;
pub use shipped::{SHIPPED, shipped};
pub use words::{act_words, fault_words};
