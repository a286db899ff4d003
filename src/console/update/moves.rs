//! Up, down and sideways in the lists of the panes.

use super::log::look_at_output;
use crate::console::action::Action;
use crate::console::msg::Effect;
use crate::console::pane::Pane;
use crate::console::run_view::Row;
use crate::console::state::State;

/// By how many lines an action goes, given the height of the pane; the ends are far away.
pub(super) fn moves(action: Action) -> Option<fn(i64) -> i64> {
    Some(match action {
        Action::Up => |_| -1,
        Action::Down => |_| 1,
        Action::PageUp => |page| -page,
        Action::PageDown => |page| page,
        Action::HalfUp => |page| -(page / 2).max(1),
        Action::HalfDown => |page| (page / 2).max(1),
        Action::Top => |_| i64::MIN / 2,
        Action::Bottom => |_| i64::MAX / 2,
        _ => return None,
    })
}

fn moved(at: usize, by: i64, count: usize) -> usize {
    let at = i64::try_from(at).unwrap_or(0).saturating_add(by).max(0);
    usize::try_from(at).unwrap_or(0).min(count.saturating_sub(1))
}

pub(super) fn travel(state: &mut State, action: Action, effects: &mut Vec<Effect>) {
    let Some(by) = moves(action).map(|by| by(i64::from(state.log.height.max(2)) - 1)) else { return };
    match state.focus {
        Pane::Sites if state.detail.is_some() => {
            let end = i64::from(crate::console::view::end(state));
            let top = i64::from(state.detail_top).min(end).saturating_add(by).clamp(0, end);
            state.detail_top = u16::try_from(top).unwrap_or(0);
        }
        Pane::Sites => {
            let count = state.subjects(state.at_site.0).len();
            state.at_site.1 = moved(state.at_site.1, by, count);
        }
        Pane::Runbooks => state.runbook.selected = moved(state.runbook.selected, by, state.shown_runbooks().len()),
        Pane::Runs => state.past.selected = moved(state.past.selected, by, state.shown_runs().len()),
        Pane::Points => state.point.selected = moved(state.point.selected, by, state.shown_points().len()),
        Pane::Run => {
            if let Some(run) = &mut state.run {
                run.keeps_up = false;
                run.selected = moved(run.selected, by, run.rows().len());
            }
            look_at_output(state, effects);
        }
        Pane::Log => {
            if action == Action::Bottom {
                state.log.follow = true;
                state.log.to_end();
            } else {
                state.log.scroll(by);
            }
            look_at_output(state, effects);
        }
    }
}

pub(super) fn sideways(state: &mut State, action: Action) {
    match state.focus {
        Pane::Sites => {
            let last = state.estate.sites.len().saturating_sub(1);
            let site = state.at_site.0;
            state.at_site.0 = if action == Action::Left { site.saturating_sub(1) } else { (site + 1).min(last) };
            state.at_site.1 = state.at_site.1.min(state.subjects(state.at_site.0).len().saturating_sub(1));
        }
        Pane::Log => {
            let left = state.log.left;
            state.log.left = if action == Action::Left { left.saturating_sub(8) } else { left.saturating_add(8) };
        }
        Pane::Run => {
            let stage = state.run.as_ref().and_then(|run| match run.rows().get(run.selected)? {
                Row::Stage(stage) => Some(stage.clone()),
                Row::Step(step) => Some(step.stage.clone()),
                Row::Unit(unit) => Some(unit.step.stage.clone()),
            });
            if let (Some(run), Some(stage)) = (&mut state.run, stage) {
                run.opened.insert(stage.clone(), action == Action::Right);
                if let Some(index) = run.rows().iter().position(|row| *row == Row::Stage(stage.clone()))
                    && action == Action::Left
                {
                    run.selected = index;
                }
                run.keeps_up = false;
            }
        }
        _ => {}
    }
}
