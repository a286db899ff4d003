//! Runbook + estate + direction + parameters -> plan, or every problem there is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::file::{Param, Runbook, Stage, Step};
use super::template::{TemplateScope, check_template, evaluate_when, render};
use super::{Diagnostic, Interrupted, Plan, PlannedStage, PlannedStep, PlannedTarget, Severity, did_you_mean};
use crate::estate::Estate;
use crate::model::{Direction, End, ServiceName, Span, StageId, StepId, StepKey};

/// What the planner asks of the catalogue of step kinds.
pub trait Kinds {
    /// All names, for suggestions.
    fn names(&self) -> Vec<&'static str>;
    /// The facts of a kind, or nothing when there is no such kind.
    fn facts(&self, name: &str) -> Option<KindFacts>;
    /// Checks parameters that hold no templates any more.
    ///
    /// # Errors
    /// What is wrong with them.
    fn check_params(&self, name: &str, params: &Map<String, Value>) -> Result<(), String>;
}

/// What the planner needs to know of a step kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindFacts {
    /// The default title.
    pub summary: &'static str,
    /// The kind of service it needs.
    pub service: Option<&'static str>,
    /// What to do after a crash, by default.
    pub interrupted: Interrupted,
    /// The default time limit.
    pub timeout: Span,
}

/// What a plan is made of.
#[derive(Clone, Copy)]
pub struct PlanRequest<'a> {
    /// The runbook.
    pub runbook: &'a Runbook,
    /// The runbook's file name, for messages.
    pub file: &'a str,
    /// The estate.
    pub estate: &'a Estate,
    /// Who is source and who is target.
    pub direction: &'a Direction,
    /// The parameters as given on the command line.
    pub params: &'a BTreeMap<String, String>,
    /// The catalogue.
    pub kinds: &'a dyn Kinds,
}

/// The longest time limit that makes sense for one step.
const LONGEST_TIMEOUT: Span = Span::seconds(14 * 86_400);

/// Makes the plan.
///
/// # Errors
/// All problems found, errors and warnings, when at least one of them is an error. A step for a kind of service that
/// the estate does not have is left out of the plan, not an error: the shipped runbooks serve estates without it.
pub fn plan(request: PlanRequest<'_>) -> Result<(Plan, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut planner = Planner { request, problems: Vec::new() };
    let plan = planner.plan();
    if planner.problems.iter().any(|problem| problem.severity == Severity::Error) {
        Err(planner.problems)
    } else {
        Ok((plan, planner.problems))
    }
}

struct Planner<'a> {
    request: PlanRequest<'a>,
    problems: Vec<Diagnostic>,
}

impl Planner<'_> {
    fn error(&mut self, path: impl Into<String>, message: impl Into<String>, hint: Option<String>) {
        let mut problem = Diagnostic::error(self.request.file, path, message);
        problem.hint = hint;
        self.problems.push(problem);
    }

    fn plan(&mut self) -> Plan {
        let PlanRequest { runbook, estate, direction, .. } = self.request;
        let params = self.params(&runbook.params);
        let titles = (estate.title(&direction.source), estate.title(&direction.target));
        let scope = TemplateScope::of_plan(direction, titles, &estate.name, &params);
        self.check_ids(runbook);
        let mut stages: Vec<PlannedStage> = Vec::new();
        let mut known_steps = BTreeSet::new();
        for (index, stage) in runbook.stages.iter().enumerate() {
            let path = path_of(runbook, stage);
            let needs = self.stage_needs(runbook, index, stage);
            if let Some(when) = &stage.when {
                self.check_text(&format!("{path}.when"), when, true, &known_steps);
            }
            let steps = self.steps(stage, &scope, &mut known_steps);
            let title = self.title(&format!("{path}.title"), &stage.title, &scope);
            stages.push(PlannedStage { id: stage.id.clone(), title, needs, when: stage.when.clone(), steps });
        }
        let title = self.title("title", &runbook.title, &scope);
        Plan {
            runbook: runbook.name.clone(),
            title,
            mode: runbook.mode,
            estate: estate.name.clone(),
            estate_digest: Some(estate.digest()),
            direction: direction.clone(),
            params,
            stages,
            origin: None,
        }
    }

    fn title(&mut self, path: &str, text: &str, scope: &TemplateScope) -> String {
        render(text, scope).unwrap_or_else(|problem| {
            self.error(path, problem.to_string(), None);
            text.to_owned()
        })
    }

    fn params(&mut self, declared: &BTreeMap<String, Param>) -> Map<String, Value> {
        let mut values = Map::new();
        let given = self.request.params;
        for name in given.keys().filter(|name| !declared.contains_key(*name)) {
            let hint =
                did_you_mean(name, declared.keys().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
            self.error("params", format!("this runbook has no parameter `{name}`"), hint);
        }
        for (name, param) in declared {
            let path = format!("params.{name}");
            let value = match given.get(name) {
                Some(text) => param.read(text).map(Some),
                None => param.default_value(),
            };
            match value {
                Ok(Some(value)) => drop(values.insert(name.clone(), value)),
                Ok(None) => {
                    self.error(path, "must be given", Some(format!("add `--param {name}=…`: {}", param.help)));
                }
                Err(message) => self.error(path, message, None),
            }
        }
        values
    }

    fn check_ids(&mut self, runbook: &Runbook) {
        let mut stages = BTreeSet::new();
        let mut steps: BTreeMap<&StepId, &StageId> = BTreeMap::new();
        for stage in &runbook.stages {
            if !stages.insert(&stage.id) {
                self.error(format!("{}.id", path_of(runbook, stage)), "there are two stages of this id", None);
            }
            for (index, step) in stage.steps.iter().enumerate() {
                if let Some(other) = steps.insert(&step.id, &stage.id) {
                    self.error(
                        format!("{}.id", path_of_step(runbook, stage, index)),
                        format!("stage {other} has a step of this id too; ids are unique in the runbook"),
                        None,
                    );
                }
            }
        }
        if runbook.stages.is_empty() {
            self.error("stages", "there are none", None);
        }
    }

    fn stage_needs(&mut self, runbook: &Runbook, index: usize, stage: &Stage) -> Vec<StageId> {
        let Some(needs) = &stage.needs else {
            return index.checked_sub(1).map(|before| runbook.stages[before].id.clone()).into_iter().collect();
        };
        let earlier: Vec<&StageId> = runbook.stages[..index].iter().map(|stage| &stage.id).collect();
        for need in needs.iter().filter(|need| !earlier.contains(need)) {
            let hint = did_you_mean(need.as_str(), earlier.iter().map(|id| id.as_str()))
                .map(|near| format!("did you mean `{near}`?"));
            self.error(
                format!("{}.needs", path_of(runbook, stage)),
                format!("there is no earlier stage `{need}`, so this one could never start"),
                hint,
            );
        }
        needs.clone()
    }

    fn steps(&mut self, stage: &Stage, scope: &TemplateScope, known: &mut BTreeSet<StepId>) -> Vec<PlannedStep> {
        let mut planned: Vec<PlannedStep> = Vec::new();
        let mut ids: Vec<&StepId> = Vec::new();
        // A step that is left out hands its own needs on, so that what comes after still waits for what came before.
        let mut left_out: BTreeMap<&StepId, Vec<StepKey>> = BTreeMap::new();
        for (index, step) in stage.steps.iter().enumerate() {
            let path = path_of_step(self.request.runbook, stage, index);
            let named: Vec<&StepId> = match &step.needs {
                Some(needs) => needs.iter().collect(),
                None => ids.last().copied().into_iter().collect(),
            };
            let mut needs = Vec::new();
            for need in named {
                if let Some(handed_on) = left_out.get(need) {
                    needs.extend(handed_on.iter().cloned());
                } else if ids.contains(&need) {
                    needs.push(StepKey { stage: stage.id.clone(), step: need.clone() });
                } else {
                    let hint = did_you_mean(need.as_str(), ids.iter().map(|id| id.as_str()))
                        .map(|near| format!("did you mean `{near}`?"));
                    self.error(
                        format!("{path}.needs"),
                        format!("this stage has no earlier step `{need}`, so this one could never start"),
                        hint,
                    );
                }
            }
            ids.push(&step.id);
            match self.step(stage, step, &path, needs.clone(), scope, known) {
                Some(step) => planned.push(step),
                None => {
                    left_out.insert(&step.id, needs);
                }
            }
            known.insert(step.id.clone());
        }
        if stage.steps.is_empty() {
            self.error(format!("{}.steps", path_of(self.request.runbook, stage)), "there are none", None);
        }
        planned
    }

    fn step(
        &mut self,
        stage: &Stage,
        step: &Step,
        path: &str,
        needs: Vec<StepKey>,
        scope: &TemplateScope,
        known: &BTreeSet<StepId>,
    ) -> Option<PlannedStep> {
        let kinds = self.request.kinds;
        let Some(facts) = kinds.facts(&step.uses) else {
            let hint = did_you_mean(&step.uses, kinds.names())
                .map_or_else(|| "`changeover kinds` lists them".to_owned(), |near| format!("did you mean `{near}`?"));
            self.error(format!("{path}.uses"), format!("there is no step kind `{}`", step.uses), Some(hint));
            return None;
        };
        let absent = self.check_service(step, path, facts);
        let targets = self.targets(step, path);
        self.check_limits(step, path, facts);
        if let Some(text) = &step.when {
            self.check_text(&format!("{path}.when"), text, true, known);
        }
        if let Some(text) = &step.confirm {
            self.check_text(&format!("{path}.confirm.message"), &text.message, false, known);
        }
        self.check_params(step, path, scope, known);
        if absent {
            return None;
        }
        let title = step.title.as_deref().unwrap_or(facts.summary);
        Some(PlannedStep {
            key: StepKey { stage: stage.id.clone(), step: step.id.clone() },
            title: self.title(&format!("{path}.title"), title, scope),
            uses: step.uses.clone(),
            service: step.service.clone(),
            targets,
            each: step.each,
            limit: step.limit,
            needs,
            when: step.when.clone(),
            confirm: step.confirm.clone(),
            timeout: step.timeout.unwrap_or(facts.timeout),
            retry: step.retry,
            on_failure: step.on_failure,
            interrupted: step.interrupted.unwrap_or(facts.interrupted),
            point_of_no_return: step.point_of_no_return,
            params: step.params.clone(),
        })
    }

    /// True when the step is for a service that this estate does not have.
    fn check_service(&mut self, step: &Step, path: &str, facts: KindFacts) -> bool {
        let estate = self.request.estate;
        match (facts.service, &step.service) {
            (None, _) => false,
            (Some(kind), None) => {
                self.error(format!("{path}.service"), format!("`{}` needs a service of kind {kind}", step.uses), None);
                false
            }
            (Some(kind), Some(name)) => match estate.services.get(name) {
                Some(service) if service.kind == kind => false,
                Some(service) => {
                    let message =
                        format!("`{}` needs a service of kind {kind}, but {name} is {}", step.uses, service.kind);
                    self.error(format!("{path}.service"), message, None);
                    false
                }
                None => {
                    let names = estate.services.keys().map(ServiceName::as_str);
                    let near = did_you_mean(name.as_str(), names).map(|near| format!("did you mean `{near}`?"));
                    let message = format!("the estate has no service `{name}`: the step is left out");
                    let mut warning = Diagnostic::warning(self.request.file, format!("{path}.service"), message);
                    warning.hint = near;
                    self.problems.push(warning);
                    true
                }
            },
        }
    }

    fn check_limits(&mut self, step: &Step, path: &str, facts: KindFacts) {
        let timeout = step.timeout.unwrap_or(facts.timeout);
        if timeout.0.is_zero() {
            self.error(format!("{path}.timeout"), "a step that may take no time can never succeed", None);
        } else if timeout > LONGEST_TIMEOUT {
            self.error(format!("{path}.timeout"), format!("{timeout} is longer than {LONGEST_TIMEOUT}"), None);
        }
        if step.retry.attempts == 0 {
            self.error(format!("{path}.retry.attempts"), "must be at least 1", None);
        }
        if step.limit == Some(0) {
            self.error(format!("{path}.limit"), "must be at least 1", None);
        }
    }

    fn check_params(&mut self, step: &Step, path: &str, scope: &TemplateScope, known: &BTreeSet<StepId>) {
        let mut texts = Vec::new();
        collect_texts("with", &Value::Object(step.params.clone()), &mut texts);
        let mut depends_on_run = false;
        for (place, text) in &texts {
            let place = format!("{path}.{place}");
            depends_on_run |= self.check_text(&place, text, false, known);
            self.check_literal_names(&place, text);
        }
        if depends_on_run {
            return;
        }
        let rendered = super::render_value(&Value::Object(step.params.clone()), scope);
        match rendered {
            Ok(Value::Object(params)) => {
                if let Err(message) = self.request.kinds.check_params(&step.uses, &params) {
                    self.error(format!("{path}.with"), message, None);
                }
            }
            Ok(_) => {}
            Err(problem) => self.error(format!("{path}.with"), problem.to_string(), None),
        }
    }

    /// Checks a template; true when it uses values that are known only in a run.
    fn check_text(&mut self, path: &str, text: &str, condition: bool, known: &BTreeSet<StepId>) -> bool {
        let used = match check_template(text, condition) {
            Ok(used) => used,
            Err(problem) => {
                self.error(path, problem.to_string(), None);
                return false;
            }
        };
        if condition && used.is_empty() && evaluate_when(text, &TemplateScope::default()) == Ok(false) {
            let warning = Diagnostic::warning(self.request.file, path, "is never true, so this could never start");
            self.problems.push(warning.hint("ask for a parameter of the runbook, as `params.verify`, or leave it out"));
        }
        let mut depends_on_run = false;
        for variable in used {
            let mut parts = variable.split('.');
            match (parts.next().unwrap_or_default(), parts.next()) {
                ("source" | "target" | "source_title" | "target_title" | "estate", None) => {}
                ("run" | "point", Some("id")) | ("site" | "host" | "estimated_bytes", None) => depends_on_run = true,
                ("params", Some(name)) if self.request.runbook.params.contains_key(name) => {}
                ("params", Some(name)) => {
                    let names = self.request.runbook.params.keys().map(String::as_str);
                    let hint = did_you_mean(name, names).map(|near| format!("did you mean `params.{near}`?"));
                    self.error(path, format!("the runbook declares no parameter `{name}`"), hint);
                }
                ("steps", Some(id)) if known.contains(id) => depends_on_run = true,
                ("steps", Some(id)) => {
                    let hint = did_you_mean(id, known.iter().map(StepId::as_str))
                        .map(|near| format!("did you mean `steps.{near}`?"));
                    self.error(path, format!("no earlier step is called `{id}`"), hint);
                }
                (first, _) => {
                    let names = [
                        "source",
                        "target",
                        "source_title",
                        "target_title",
                        "estate",
                        "params",
                        "run",
                        "point",
                        "steps",
                        "site",
                        "host",
                    ];
                    let hint = did_you_mean(first, names).map_or_else(
                        || format!("known are {}", names.join(", ")),
                        |near| format!("did you mean `{near}`?"),
                    );
                    self.error(path, format!("`{variable}` is not defined"), Some(hint));
                }
            }
        }
        depends_on_run
    }

    fn check_literal_names(&mut self, path: &str, text: &str) {
        let names = |name: &str| {
            text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))).any(|word| word == name)
        };
        let mut warn = |message: String, hint: &str| {
            self.problems.push(Diagnostic::warning(self.request.file, path, message).hint(hint));
        };
        for (name, site) in &self.request.estate.sites {
            if names(name.as_str()) {
                let hint = "write `{{ source }}` or `{{ target }}`, so that the runbook works in both directions";
                warn(format!("names the site `{name}` literally"), hint);
            }
            let hosts = site.hosts.iter().filter_map(|(host, facts)| Some((host, facts.address.as_deref()?)));
            for (host, address) in hosts.filter(|(_, address)| names(address)) {
                let hint = "say where with `on`, as `source.app`, so that the runbook works in both directions";
                warn(format!("names the host {name}:{host} literally (`{address}`)"), hint);
            }
        }
    }

    fn targets(&mut self, step: &Step, path: &str) -> Vec<PlannedTarget> {
        let direction = self.request.direction;
        let at = |end| PlannedTarget { end: Some(end), site: Some(direction.site(end).clone()), host: None };
        let (place, role) =
            step.on.split_once('.').map_or((step.on.as_str(), None), |(place, role)| (place, Some(role)));
        let ends = match place {
            "source" => vec![End::Source],
            "target" => vec![End::Target],
            "both" => vec![End::Source, End::Target],
            "console" if role.is_none() => return vec![PlannedTarget { end: None, site: None, host: None }],
            _ => {
                let sites = self.request.estate.sites.iter();
                let literal =
                    sites.clone().any(|(name, site)| name.as_str() == place || site.hosts.contains_key(place));
                let hint = if literal {
                    "runbooks say `source` or `target`, never the name of a site or host, so that they work in both directions".to_owned()
                } else {
                    "one of `source`, `target`, `both`, `console`, or hosts by role as `target.app`".to_owned()
                };
                self.error(format!("{path}.on"), format!("`{}` is not a place", step.on), Some(hint));
                return Vec::new();
            }
        };
        let Some(role) = role else {
            return ends.into_iter().map(at).collect();
        };
        let mut targets = Vec::new();
        for end in ends {
            let site = direction.site(end);
            let before = targets.len();
            targets.extend(self.request.estate.hosts_with_role(site, Some(role)).map(|(host, _)| PlannedTarget {
                end: Some(end),
                site: Some(site.clone()),
                host: Some(host.clone()),
            }));
            if targets.len() == before {
                let hint = "give a host that role in the estate";
                self.error(
                    format!("{path}.on"),
                    format!("no host of {site} has the role `{role}`"),
                    Some(hint.to_owned()),
                );
            }
        }
        targets
    }
}

/// The path of a stage: by its id, or by number when an earlier one has the same.
fn path_of(runbook: &Runbook, stage: &Stage) -> String {
    let first = runbook.stages.iter().find(|other| other.id == stage.id);
    match runbook.stages.iter().position(|other| std::ptr::eq(other, stage)) {
        Some(index) if !first.is_some_and(|first| std::ptr::eq(first, stage)) => format!("stages[{index}]"),
        _ => format!("stages.{}", stage.id),
    }
}

/// The path of a step of a stage, likewise.
fn path_of_step(runbook: &Runbook, stage: &Stage, index: usize) -> String {
    let (path, id) = (path_of(runbook, stage), &stage.steps[index].id);
    if stage.steps[..index].iter().any(|other| other.id == *id) {
        format!("{path}.steps[{index}]")
    } else {
        format!("{path}.steps.{id}")
    }
}

fn collect_texts(path: &str, value: &Value, texts: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => texts.push((path.to_owned(), text.clone())),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect_texts(&format!("{path}[{index}]"), item, texts);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                collect_texts(&format!("{path}.{key}"), item, texts);
            }
        }
        _ => {}
    }
}
