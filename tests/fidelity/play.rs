//! Plays the story with the real engine, and writes down what the steps returned.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use changeover::estate::Estate;
use changeover::health::{Around, Observation, Planned, ProbeKey, plan, round};
use changeover::model::Outcome;
use changeover::port::{Clock, Reach, SqlValue};
use changeover::run::EventKind;
use changeover::systems::catalogue;
use serde_json::Value;

use super::hands::{Act, Hands, act, sql};
use super::scenes::{Play, Scene, Step};
use super::single_run::SingleRun;
use super::story::{CHAPTERS, VARY};

/// Plays every chapter; returns their records.
pub async fn story(hands: &dyn Hands) -> Vec<(&'static str, String)> {
    let mut player = Player { hands, text: hands.estate(), number: 0 };
    let mut records = Vec::new();
    for (chapter, scenes) in CHAPTERS {
        let mut record = String::new();
        for scene in *scenes {
            player.scene(scene, &mut record).await;
        }
        records.push((*chapter, record));
    }
    records
}

struct Player<'a> {
    hands: &'a dyn Hands,
    /// The estate file as it is now.
    text: String,
    number: u32,
}

impl Player<'_> {
    async fn scene(&mut self, scene: &Scene, record: &mut String) {
        self.number += 1;
        // Writing to a `String` cannot fail.
        let _ = writeln!(record, "== {}", scene.name);
        let point = format!("p-20260301-020000-{:04}", scene.point);
        for before in scene.before {
            self.act(&point, *before).await;
        }
        let estate = Arc::new(toml::from_str(&self.text).expect("an estate"));
        match scene.play {
            Play::Steps(steps) => {
                let run = self.run(&estate, &point, steps);
                let told = match scene.meanwhile {
                    None => run.await,
                    Some((every, meanwhile)) => {
                        let meddle = async {
                            loop {
                                tokio::time::sleep(every).await;
                                act(self.hands, &estate, &point, meanwhile).await;
                            }
                        };
                        tokio::select! {
                            told = run => told,
                            () = meddle => unreachable!("it goes on for ever"),
                        }
                    }
                };
                record.push_str(&self.plain(&told));
            }
            Play::Lights(site, wanted) => {
                let shown = self.lights(&estate, site, wanted).await;
                record.push_str(&self.plain(&shown));
            }
            Play::Sql(site, statements) => {
                for answer in sql(self.hands, &estate, site, statements).await {
                    let line = match answer {
                        Err(refused) => refused,
                        Ok(rows) if rows.rows.is_empty() => "(no rows)".to_owned(),
                        Ok(rows) => {
                            let shown =
                                rows.rows.iter().map(|row| row.iter().map(shown_value).collect::<Vec<_>>().join(" | "));
                            format!("{} -> {}", rows.columns.join(" | "), shown.collect::<Vec<_>>().join(" ; "))
                        }
                    };
                    let _ = writeln!(record, "{}", self.plain(&line));
                }
            }
        }
        for after in scene.after {
            self.act(&point, *after).await;
        }
        record.push('\n');
    }

    async fn act(&mut self, point: &str, what: Act) {
        match what {
            Act::Estate(from, to) => {
                let net = |text: &str| text.replace("10.0.", &format!("{}.", self.hands.net()));
                let (from, to) = (net(from), net(to));
                assert!(self.text.contains(&from), "the estate has no {from}:\n{}", self.text);
                self.text = self.text.replace(&from, &to);
            }
            Act::EstateAsItWas => self.text = self.hands.estate(),
            other => {
                let estate = Arc::new(toml::from_str(&self.text).expect("an estate"));
                act(self.hands, &estate, point, other).await;
            }
        }
    }

    /// What stands for the same at all sites.
    fn plain(&self, text: &str) -> String {
        self.hands.names().into_iter().fold(text.to_owned(), |text, (here, record)| text.replace(&here, &record))
    }

    /// What some lights of a site show, in the order of their names.
    async fn lights(&self, estate: &Arc<Estate>, site: &str, wanted: &[&str]) -> String {
        let named = |key: &ProbeKey| format!("{} {}", key.subject, key.question);
        let plan: Vec<Planned> = plan(estate, &catalogue())
            .into_iter()
            .filter(|planned| planned.key.site.as_str() == site && wanted.contains(&named(&planned.key).as_str()))
            .collect();
        assert_eq!(plan.len(), wanted.len(), "not all of {wanted:?} are lights of {site}");
        let around = Around { reach: self.hands.reach(estate), clock: self.hands.clock(), estate: Arc::clone(estate) };
        let direction = estate.direction_from(&estate.active).expect("two sites");
        let looks = round(&plan, &around, &direction).await;
        let lines =
            looks.iter().map(|look| format!("[{} {}@{site}] {}", look.key.subject, look.key.question, shown(look)));
        lines.collect::<Vec<_>>().concat()
    }

    /// One run of some steps, each with one attempt; returns what its units returned, in the order of their names.
    async fn run(&self, estate: &Arc<Estate>, point: &str, steps: &[Step]) -> String {
        let mut text =
            "name = \"t\"\ntitle = \"T\"\nmode = \"replicate\"\n[[stages]]\nid = \"s\"\ntitle = \"S\"\n".to_owned();
        for (number, step) in steps.iter().enumerate() {
            text += &step.text(number).replace("10.0.", &format!("{}.", self.hands.net()));
        }
        let (reach, clock) = (self.hands.reach(estate) as Arc<dyn Reach>, self.hands.clock() as Arc<dyn Clock>);
        let run = SingleRun::new(reach, clock, estate, text, &format!("r-{}", self.number), point).await;
        let mut ended = BTreeMap::new();
        run.play(|event| {
            if let EventKind::UnitEnded { unit, outcome, captures, .. } = event {
                let place = unit.to_string();
                let kind =
                    steps.iter().enumerate().find(|(number, step)| place.contains(&format!("/{}", step.id(*number))));
                let kind = kind.map_or("", |(_, step)| step.uses);
                ended.insert(place.trim_start_matches("s/").to_owned(), ending(kind, outcome, captures));
            }
        })
        .await;
        let lines: Vec<String> = ended.into_iter().map(|(unit, ending)| format!("[{unit}] {ending}")).collect();
        lines.concat()
    }
}

fn shown_value(value: &SqlValue) -> String {
    value.text().unwrap_or_else(|| "NULL".to_owned())
}

/// What a light showed, in lines.
fn shown(look: &Observation) -> String {
    match &look.result {
        Ok(reading) => {
            let mut text = format!("{:?}\n  summary: {}\n", reading.condition, reading.summary);
            for finding in &reading.findings {
                // Writing to a `String` cannot fail.
                let _ = writeln!(text, "  finding: {finding}");
            }
            text
        }
        Err(failure) => format!("{:?}\n  tried: {}\n  got: {}\n", failure.kind, failure.tried, failure.got),
    }
}

/// How a unit ended, in lines.
fn ending(kind: &str, outcome: &Outcome, captures: &serde_json::Map<String, Value>) -> String {
    let mut text = outcome.word().to_owned();
    let mut line = |name: &str, value: &str| {
        let value = value.replace('\n', "\n      ");
        let _ = write!(text, "\n  {name}: {value}");
    };
    match outcome {
        Outcome::Warned { warnings } => warnings.iter().for_each(|warning| line("warning", warning.as_str())),
        Outcome::Skipped { why } => line("why", &format!("{why:?}")),
        Outcome::NotRun { because } => line("because", &format!("{because:?}")),
        _ => {}
    }
    if let Some(failure) = outcome.failure() {
        line("kind", &format!("{:?}", failure.kind));
        line("tried", failure.tried.as_str());
        line("got", failure.got.as_str());
        if let Some(hint) = &failure.hint {
            line("hint", hint.as_str());
        }
    }
    for (name, value) in captures {
        let shown = if VARY.contains(&(kind, name)) {
            match value {
                Value::String(_) => "(text)".to_owned(),
                Value::Number(number) if number.as_u64() == Some(0) => "0".to_owned(),
                Value::Number(_) => "(number)".to_owned(),
                other => other.to_string(),
            }
        } else {
            value.to_string()
        };
        line(&format!("= {name}"), &shown);
    }
    text + "\n"
}

/// How long something goes on between two disturbances.
pub const OFTEN: Duration = Duration::from_millis(400);
