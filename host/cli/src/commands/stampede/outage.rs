//! `dogpile stampede --outage`: a simulated service whose cache is down, and later its source of values.

mod drawing;
mod plan;
mod service;
mod tally;

use std::time::Instant;

use serde::Serialize;

use self::plan::{CONFIGURATIONS, Plan};
use self::service::Service;
use self::tally::Tally;
use crate::answer::{Answer, Answered, to_json};
use crate::arguments::Simulation;
use crate::page::Page;
use crate::progress;

/// The results of the simulation.
#[derive(Serialize)]
struct Simulated {
    #[serde(flatten)]
    plan: Plan,
    regions: Vec<Outcome>,
}

/// The results of one region's users.
#[derive(Serialize)]
struct Outcome {
    name: &'static str,
    /// The settings in which it differs, as TOML.
    settings: &'static str,
    /// Whether a runner creates stale values in the background.
    background: bool,
    #[serde(flatten)]
    tally: Tally,
}

/// Runs the simulation. If `show_progress`, a terminal shows a progress bar.
pub(super) fn run(asked: &Simulation, show_progress: bool) -> Answered {
    let plan = Plan::of(asked);
    let services = CONFIGURATIONS
        .iter()
        .map(|configuration| Service::open(&plan, configuration))
        .collect::<Result<Vec<_>, _>>()?;
    let began = Instant::now();
    let share = || began.elapsed().as_secs_f64() / plan.length().as_secs_f64();
    let tallies = progress::shown(show_progress, share, || service::run_all(&plan, &services))?;
    let regions = CONFIGURATIONS.iter().zip(tallies).map(|(configuration, tally)| Outcome {
        name: configuration.name,
        settings: configuration.settings,
        background: configuration.background,
        tally,
    });
    Ok(Box::new(Simulated { regions: regions.collect(), plan }))
}

impl Answer for Simulated {
    fn json(&self) -> serde_json::Value {
        to_json(self)
    }

    fn show(&self, page: &mut Page) {
        drawing::begin(page, &self.plan);
        for Outcome { name, settings, background, tally } in &self.regions {
            let runner = if *background { "a runner" } else { "" };
            let differing: Vec<_> = [*settings, runner].into_iter().filter(|text| !text.is_empty()).collect();
            drawing::region(page, name, &differing.join(", "), tally);
        }
        drawing::end(page, &self.plan, self.regions.iter().map(|region| (region.name, &region.tally)));
    }
}
