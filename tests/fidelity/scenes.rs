//! What a scene is, and the short words in which the story is written.

use std::time::Duration;

use super::hands::Act;
use super::play::OFTEN;

/// One scene.
pub struct Scene {
    pub name: &'static str,
    /// The number of the restore point that it is about.
    pub point: u32,
    pub before: &'static [Act],
    pub play: Play,
    /// What is done again and again while it is played.
    pub meanwhile: Option<(Duration, Act)>,
    pub after: &'static [Act],
}

/// What is played.
#[derive(Clone, Copy)]
pub enum Play {
    /// Steps of one run, one after the other.
    Steps(&'static [Step]),
    /// Statements of one session at a site.
    Sql(&'static str, &'static [&'static str]),
    /// Looks at some lights of a site, named by subject and question.
    Lights(&'static str, &'static [&'static str]),
}

/// A step.
#[derive(Clone, Copy)]
pub struct Step {
    pub uses: &'static str,
    on: &'static str,
    service: &'static str,
    with: &'static str,
    timeout: &'static str,
}

pub const fn step(uses: &'static str, on: &'static str, service: &'static str) -> Step {
    Step { uses, on, service, with: "", timeout: "" }
}

pub const fn search(uses: &'static str, on: &'static str) -> Step {
    step(uses, on, "search")
}

pub const fn db(uses: &'static str, on: &'static str) -> Step {
    step(uses, on, "db")
}

pub const fn app(uses: &'static str, on: &'static str) -> Step {
    step(uses, on, "app")
}

pub const fn tree(uses: &'static str, on: &'static str) -> Step {
    step(uses, on, "")
}

impl Step {
    pub const fn with(self, with: &'static str) -> Self {
        Self { with, ..self }
    }

    pub const fn within(self, timeout: &'static str) -> Self {
        Self { timeout, ..self }
    }

    /// Its id in the runbook of a scene.
    pub fn id(&self, number: usize) -> String {
        let about = if self.service.is_empty() { self.on } else { self.service };
        format!("{number}-{}-{about}", self.uses.replace(['.', '_'], "-"))
            .replace("target.app", "target")
            .replace("source.app", "source")
    }

    /// Its lines in the runbook of a scene.
    pub fn text(&self, number: usize) -> String {
        let mut text =
            format!("[[stages.steps]]\nid = \"{}\"\nuses = \"{}\"\non = \"{}\"\n", self.id(number), self.uses, self.on);
        for (name, value) in [("service", self.service), ("timeout", self.timeout)] {
            if !value.is_empty() {
                text.extend([name, " = \"", value, "\"\n"]);
            }
        }
        if !self.with.is_empty() {
            text.extend(["with = { ", self.with, " }\n"]);
        }
        text
    }
}

pub const fn scene(name: &'static str, point: u32, steps: &'static [Step]) -> Scene {
    Scene { name, point, before: &[], play: Play::Steps(steps), meanwhile: None, after: &[] }
}

pub const fn asks(name: &'static str, site: &'static str, statements: &'static [&'static str]) -> Scene {
    Scene { name, point: 1, before: &[], play: Play::Sql(site, statements), meanwhile: None, after: &[] }
}

pub const fn lights(name: &'static str, site: &'static str, wanted: &'static [&'static str]) -> Scene {
    Scene { name, point: 1, before: &[], play: Play::Lights(site, wanted), meanwhile: None, after: &[] }
}

impl Scene {
    pub const fn before(self, before: &'static [Act]) -> Self {
        Self { before, ..self }
    }

    pub const fn after(self, after: &'static [Act]) -> Self {
        Self { after, ..self }
    }

    pub const fn meanwhile(self, act: Act) -> Self {
        Self { meanwhile: Some((OFTEN, act)), ..self }
    }
}
