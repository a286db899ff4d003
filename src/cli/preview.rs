//! What a plan would do, step by step: the exact commands and requests, what was checked live, and what would be lost.
//! Changes nothing anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use futures::future::join_all;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::console::facts::{Extent, PlaceFacts, place_name};
use crate::estate::Estate;
use crate::model::{Failure, PointId, RunId, SafeText, SiteName, StageId, StepKey, UnitKey};
use crate::port::{Clock, Reach};
use crate::runbook::{Plan, PlannedStep, TemplateScope, render_value};
use crate::systems::{Catalogue, Checked, Circumstances, Effect, StepContext, Voice};

/// The longest that the look at one unit may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_mins(1);

/// Said of what nothing can be checked of beforehand.
const CANNOT_KNOW: &str = "cannot know";

/// How the names of jobs begin that only look, in place of a run's: nobody is kept from anything by them.
pub(super) const LOOKING: &str = "look-";

/// What is needed to look.
#[derive(Clone)]
pub struct Looker {
    /// The world.
    pub reach: Arc<dyn Reach>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The estate.
    pub estate: Arc<Estate>,
    /// The step kinds.
    pub catalogue: Arc<Catalogue>,
    /// A point id as a run of today would have.
    pub point: PointId,
    /// A run id as a run of today would have.
    pub run: RunId,
}

/// What is known beforehand of one unit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnitPreview {
    /// The unit.
    pub unit: UnitKey,
    /// Its title.
    pub title: String,
    /// The step kind.
    pub uses: String,
    /// What the kind does to the world: `reads`, `writes`, `destroys`.
    pub effect: String,
    /// How much of this is worth: `checked live`, `simulated`, `cannot know`.
    pub checked: &'static str,
    /// The commands and requests.
    pub commands: Vec<SafeText>,
    /// What the check found.
    pub findings: Vec<PreviewFinding>,
    /// What will be destroyed.
    pub losses: Vec<SafeText>,
    /// Why more cannot be said, or why it would fail.
    pub problem: Option<SafeText>,
}

impl UnitPreview {
    /// That something is replaced or removed here, and nobody can say beforehand what; nothing where that is known.
    #[must_use]
    pub fn unknown_loss(&self) -> Option<SafeText> {
        let was_seen = self.checked != CANNOT_KNOW && self.problem.is_none();
        let destroys = self.effect == Effect::Destroys.to_string();
        let (place, title) = (place(&self.unit), &self.title);
        if self.is_of_your_own() && !was_seen {
            return Some(SafeText::line(&format!("{place}: {title}; it is not known what it changes or loses")));
        }
        (destroys && self.losses.is_empty() && !was_seen).then(|| SafeText::line(&format!("{place}: {title}")))
    }

    /// True for a command or a request that the operator wrote: what it does is known to nobody else. A request that only
    /// reads is none.
    fn is_of_your_own(&self) -> bool {
        let reads = |command: &SafeText| ["GET ", "HEAD "].iter().any(|method| command.as_str().starts_with(method));
        match self.uses.as_str() {
            "basic.command" => true,
            "basic.http" => !(self.problem.is_none() && self.commands.iter().all(reads)),
            _ => false,
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PreviewFinding {
    /// True when it deserves a thought.
    pub bad: bool,
    /// What.
    pub text: SafeText,
}

impl Looker {
    /// Looks at every unit of a plan, side by side.
    pub async fn look(&self, plan: &Plan) -> Vec<UnitPreview> {
        let units = plan.steps().flat_map(|step| step.units().map(move |(unit, _)| (step, unit)));
        join_all(units.map(|(step, unit)| self.look_at(plan, step, unit))).await
    }

    async fn look_at(&self, plan: &Plan, step: &PlannedStep, unit: UnitKey) -> UnitPreview {
        let kind = self.catalogue.kind(&step.uses);
        let mut preview = UnitPreview {
            unit: unit.clone(),
            title: step.title.clone(),
            uses: step.uses.clone(),
            effect: kind.map_or_else(String::new, |kind| kind.effect.to_string()),
            checked: CANNOT_KNOW,
            commands: Vec::new(),
            findings: Vec::new(),
            losses: Vec::new(),
            problem: None,
        };
        let Some(kind) = kind else { return preview };
        let decoded = self.params(plan, step, &unit).and_then(|params| kind.decode(&params));
        let decoded = match decoded {
            Ok(decoded) => decoded,
            Err(problem) => {
                preview.problem = Some(SafeText::block(&format!("depends on what earlier steps find: {problem}")));
                return preview;
            }
        };
        let around = Circumstances {
            reach: Arc::clone(&self.reach),
            clock: Arc::clone(&self.clock),
            estate: Arc::clone(&self.estate),
            direction: plan.direction.clone(),
            run: RunId::new(self.run.as_str().replacen("r-", LOOKING, 1)).unwrap_or_else(|_| self.run.clone()),
            point: self.point.clone(),
        };
        let (voice, _nobody) = Voice::new();
        let cx = StepContext::of(around, step, &unit, 1, voice);
        match tokio::time::timeout(PATIENCE, decoded.preview(&cx)).await {
            Ok(Ok(commands)) => preview.commands = commands,
            Ok(Err(failure)) => preview.problem = Some(said(&failure)),
            Err(_) => preview.problem = Some(SafeText::block("no answer within a minute")),
        }
        match tokio::time::timeout(PATIENCE, decoded.check(&cx)).await {
            Ok(Ok(report)) => {
                preview.checked = match report.checked {
                    Checked::Live => "checked live",
                    Checked::Simulated => "simulated",
                    Checked::CannotKnow => CANNOT_KNOW,
                };
                preview.findings = report
                    .findings
                    .into_iter()
                    .map(|found| PreviewFinding { bad: found.bad, text: found.text })
                    .collect();
                preview.losses = report.losses;
            }
            Ok(Err(failure)) => {
                preview.checked = "checked live";
                preview.problem = Some(said(&failure));
            }
            Err(_) => preview.problem = Some(SafeText::block("no answer within a minute")),
        }
        preview
    }

    fn params(&self, plan: &Plan, step: &PlannedStep, unit: &UnitKey) -> Result<Map<String, Value>, String> {
        let titles = (self.estate.title(&plan.direction.source), self.estate.title(&plan.direction.target));
        let scope = TemplateScope::of_plan(&plan.direction, titles, &plan.estate, &plan.params)
            .of_run(&self.run, &self.point)
            .at(unit);
        step.params
            .iter()
            .map(|(name, value)| {
                Ok((name.clone(), render_value(value, &scope).map_err(|problem| problem.to_string())?))
            })
            .collect()
    }
}

fn said(failure: &Failure) -> SafeText {
    SafeText::block(&failure.to_string())
}

/// The plan and what is known of it, as text.
#[must_use]
pub fn text(plan: &Plan, previews: &[UnitPreview]) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    line(&plan.title);
    line(&format!("runbook {}, {}, plan {}", plan.runbook, plan.direction, plan.digest().short()));
    for (number, stage) in plan.stages.iter().enumerate() {
        line("");
        let mut head = format!("{:>2}  {}  ({})", number + 1, stage.title, stage.id);
        let before = number.checked_sub(1).map(|before| &plan.stages[before].id);
        if !stage.needs.iter().eq(before) {
            let needs: Vec<&str> = stage.needs.iter().map(crate::model::StageId::as_str).collect();
            let after = if needs.is_empty() { "at once".to_owned() } else { format!("after {}", needs.join(", ")) };
            let _infallible = write!(head, ", {after}");
        }
        if let Some(when) = &stage.when {
            let _infallible = write!(head, ", when {when}");
        }
        line(&head);
        for step in &stage.steps {
            for preview in previews.iter().filter(|preview| preview.unit.step == step.key) {
                line(&format!(
                    "    {}: {}  [{}, {}]",
                    place(&preview.unit),
                    preview.uses,
                    preview.effect,
                    preview.checked
                ));
                line(&format!("        {}", preview.title));
                for command in &preview.commands {
                    command.as_str().lines().for_each(|text| line(&format!("        $ {text}")));
                }
                for found in &preview.findings {
                    let mark = if found.bad { "!" } else { "-" };
                    found.text.as_str().lines().for_each(|text| line(&format!("        {mark} {text}")));
                }
                for loss in &preview.losses {
                    loss.as_str().lines().for_each(|text| line(&format!("        LOSES {text}")));
                }
                if preview.unknown_loss().is_some() {
                    let own = preview.is_of_your_own();
                    let lost = if own { "MAY LOSE what nobody knows" } else { "LOSES what cannot be known" };
                    line(&format!("        {lost} before it begins"));
                }
                if let Some(problem) = &preview.problem {
                    problem.as_str().lines().for_each(|text| line(&format!("        ! {text}")));
                }
                if step.point_of_no_return {
                    line("        no way back after this step");
                }
            }
        }
    }
    out
}

/// Where a plan changes what, and up to where there is a way back, by what the kinds of its steps declare.
#[must_use]
pub(super) fn extent(plan: &Plan, previews: &[UnitPreview]) -> Extent {
    let no_return: Vec<StepKey> =
        plan.steps().filter(|step| step.point_of_no_return).map(|step| step.key.clone()).collect();
    let is_unmarked = |step: &&PlannedStep| {
        let mut units = previews.iter().filter(|preview| preview.unit.step == step.key);
        !step.point_of_no_return
            && units.any(|unit| unit.effect == Effect::Destroys.to_string() || unit.unknown_loss().is_some())
            && !waits_for_one_of(plan, step, &no_return)
    };
    let unmarked = plan.steps().filter(is_unmarked).map(|step| step.key.clone()).collect();
    Extent { places: places(plan, previews), no_return, unmarked }
}

/// The places of a plan: source, target, and this machine unless it only asks and waits there.
fn places(plan: &Plan, previews: &[UnitPreview]) -> Vec<PlaceFacts> {
    let mut names: BTreeMap<(Option<&SiteName>, &str), BTreeSet<String>> = BTreeMap::new();
    for preview in previews {
        let Some(step) = plan.step(&preview.unit.step) else { continue };
        let name = match &preview.unit.site {
            Some(_) => place_name(step, preview.unit.host.as_ref()),
            None => step.key.step.to_string(),
        };
        names.entry((preview.unit.site.as_ref(), preview.effect.as_str())).or_default().insert(name);
    }
    let of = |site: Option<&SiteName>| {
        let texts = |effect: Effect| {
            let effect = effect.to_string();
            let names = names.get(&(site, effect.as_str())).into_iter().flatten();
            names.map(|name| SafeText::line(name)).collect::<Vec<_>>()
        };
        PlaceFacts {
            site: site.cloned(),
            written: texts(Effect::Writes),
            replaced: texts(Effect::Destroys),
            read: texts(Effect::Reads),
        }
    };
    let is_something =
        |place: &PlaceFacts| [&place.written, &place.replaced, &place.read].iter().any(|names| !names.is_empty());
    let changes_something = |place: &PlaceFacts| !place.written.is_empty() || !place.replaced.is_empty();
    let sites = [&plan.direction.source, &plan.direction.target].map(|site| of(Some(site)));
    sites.into_iter().filter(is_something).chain(Some(of(None)).filter(changes_something)).collect()
}

/// True when a step begins only after one of these has ended, in its own stage or in one that its stage waits for.
fn waits_for_one_of(plan: &Plan, step: &PlannedStep, others: &[StepKey]) -> bool {
    let mut stages: Vec<&StageId> = Vec::new();
    let mut next: Vec<&StageId> = plan.stage(&step.key.stage).into_iter().flat_map(|stage| &stage.needs).collect();
    while let Some(stage) = next.pop() {
        if !stages.contains(&stage) {
            stages.push(stage);
            next.extend(plan.stage(stage).into_iter().flat_map(|stage| &stage.needs));
        }
    }
    let mut steps: Vec<&StepKey> = Vec::new();
    let mut next: Vec<&StepKey> = step.needs.iter().collect();
    while let Some(key) = next.pop() {
        if !steps.contains(&key) {
            steps.push(key);
            next.extend(plan.step(key).into_iter().flat_map(|step| &step.needs));
        }
    }
    others.iter().any(|other| stages.contains(&&other.stage) || steps.contains(&other))
}

/// A step and where it is carried out.
fn place(UnitKey { step, site, host }: &UnitKey) -> String {
    match (site, host) {
        (Some(site), Some(host)) => format!("{} at {site}:{host}", step.step),
        (Some(site), None) => format!("{} at {site}", step.step),
        _ => step.step.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preview(effect: Effect, checked: &'static str, losses: &[&str], problem: Option<&str>) -> UnitPreview {
        UnitPreview {
            unit: UnitKey::try_from("sql-restore/restore-db@bcp".to_owned()).expect("a unit"),
            title: "Replace the databases".to_owned(),
            uses: "mysql.restore".to_owned(),
            effect: effect.to_string(),
            checked,
            commands: Vec::new(),
            findings: Vec::new(),
            losses: losses.iter().map(|loss| SafeText::line(loss)).collect(),
            problem: problem.map(SafeText::line),
        }
    }

    #[test]
    fn what_the_operator_wrote_loses_nobody_knows_what() {
        for (uses, command, problem, unknown) in [
            ("basic.command", "this machine $ true", None, true),
            ("basic.http", "POST https://10.0.0.9/turn", None, true),
            ("basic.http", "GET https://10.0.0.9/", None, false),
            ("basic.http", "GET https://10.0.0.9/", Some("depends on what earlier steps find"), true),
            ("redis.flush", "FLUSHALL", None, false),
        ] {
            let preview = UnitPreview {
                uses: uses.to_owned(),
                commands: vec![SafeText::line(command)],
                ..preview(Effect::Writes, CANNOT_KNOW, &[], problem)
            };
            let said = preview.unknown_loss();
            assert_eq!(said.is_some(), unknown, "{preview:#?}");
            assert!(said.is_none_or(|said| said.as_str().ends_with("it is not known what it changes or loses")));
        }
    }

    #[test]
    fn the_extent_of_a_plan_is_what_its_kinds_declare() {
        let plan: Plan = crate::run::sample::plan();
        let unit = |key: &str, effect: Effect| UnitPreview {
            unit: UnitKey::try_from(key.to_owned()).expect("a unit"),
            ..preview(effect, "checked live", &[], None)
        };
        let previews = [
            unit("backup/snapshot@prod", Effect::Reads),
            unit("restore/index@bcp", Effect::Destroys),
            unit("restore/restart@bcp:app1", Effect::Writes),
            unit("restore/restart@bcp:app2", Effect::Writes),
        ];
        let names = |names: &[&str]| names.iter().map(|name| SafeText::line(name)).collect::<Vec<_>>();
        let site = |name: &str| Some(SiteName::new(name).expect("a site"));
        let source = PlaceFacts { site: site("prod"), read: names(&["search"]), ..PlaceFacts::default() };
        let target = PlaceFacts {
            site: site("bcp"),
            written: names(&["app1", "app2"]),
            replaced: names(&["search"]),
            ..PlaceFacts::default()
        };
        let found = extent(&plan, &previews);
        assert_eq!(found.places, [source, target]);
        let keys = |keys: &[StepKey]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!((keys(&found.no_return), keys(&found.unmarked)), (vec![], vec!["restore/index".to_owned()]));
        let mut marked = plan.clone();
        marked.stages[0].steps[0].point_of_no_return = true;
        let found = extent(&marked, &previews);
        assert_eq!(keys(&found.no_return), ["backup/snapshot"]);
        assert_eq!(found.unmarked, [], "it waits for the stage of the one that is marked");
    }

    #[test]
    fn a_loss_that_cannot_be_known_is_never_none() {
        for (preview, unknown) in [
            (preview(Effect::Destroys, CANNOT_KNOW, &[], None), true),
            (preview(Effect::Destroys, CANNOT_KNOW, &[], Some("depends on what earlier steps find")), true),
            (preview(Effect::Destroys, "checked live", &[], Some("connection refused")), true),
            (preview(Effect::Destroys, "checked live", &[], None), false),
            (preview(Effect::Destroys, "checked live", &["database shop"], None), false),
            (preview(Effect::Writes, CANNOT_KNOW, &[], None), false),
            (preview(Effect::Reads, CANNOT_KNOW, &[], Some("refused")), false),
        ] {
            let said = preview.unknown_loss();
            assert_eq!(said.is_some(), unknown, "{preview:#?}");
            assert!(said.is_none_or(|said| said.as_str() == "restore-db at bcp: Replace the databases"));
        }
    }
}
